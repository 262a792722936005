package lab

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"tandem/blocks/ref"
	"tandem/workbench/plot"
	"tandem/xla"
)

// The sizes of the scan that ShowScan runs. The CUDA kernel takes them.
const (
	scanTime, scanInner, scanStates = 96, 128, 16
)

// ShowScan runs the scan that models use on a backend ("auto", "go", …) and the reference in plain float64, on the same
// random numbers, and shows how far they are apart and whether the CUDA kernel or its definition ran.
func ShowScan(backend string) *Shown {
	device, err := xla.Open(backend)
	if err != nil {
		return &Shown{fail(err)}
	}
	defer device.Finalize()
	inputs := newScanExample()
	y, h, err := inputs.run(device)
	if err != nil {
		return &Shown{fail(err)}
	}
	wantY, wantH := inputs.reference()
	at, first, wanted := make([]float64, scanTime), make([]float64, scanTime), make([]float64, scanTime)
	for t := range at {
		at[t], first[t], wanted[t] = float64(t), y[t*scanInner], wantY[t*scanInner]
	}
	ran := "its definition in graph operations"
	for _, decision := range xla.Decisions() {
		if decision.Operation == "selective_scan_forward" && decision.Kernel > 0 {
			ran = "the CUDA kernel"
		}
	}
	display.Show(Panel{
		Picture: plot.Curves{Title: "Output of the first channel", X: "token", Y: "y", Lines: []plot.Line{
			{Name: "reference, float64", X: at, Y: wanted}, {Name: "as models run it", X: at, Y: first, Points: true}}},
		Tables: []Table{{Heading: []string{"what", "largest value", "largest difference"}, Rows: [][]string{
			differenceRow("output y", wantY, y), differenceRow("last state h", wantH, h)}}},
		Note: fmt.Sprintf("On %s, in %s; the scan ran as %s.", device.Config, device.Compute, ran),
	})
	return &Shown{}
}

func differenceRow(name string, want, got []float64) []string {
	var largest, difference float64
	for i := range want {
		largest, difference = max(largest, math.Abs(want[i])), max(difference, math.Abs(want[i]-got[i]))
	}
	return []string{name, fmt.Sprintf("%.3g", largest), fmt.Sprintf("%.1e", difference)}
}

// scanExample is the operands of a scan of one row, in the order of xla.ScanInputs: u, δ, z [T,I], A [N,I], B, C [T,N], D and
// bias [I].
type scanExample struct{ values [8][]float64 }

var scanShapes = [8][]int{
	{1, scanTime, scanInner}, {1, scanTime, scanInner}, {1, scanTime, scanInner}, {scanStates, scanInner},
	{1, scanTime, scanStates}, {1, scanTime, scanStates}, {scanInner}, {scanInner},
}

func newScanExample() (c scanExample) {
	random := rand.New(rand.NewPCG(3, 14))
	for i, shape := range scanShapes {
		c.values[i] = make([]float64, shapes.Make(dtypes.Float32, shape...).Size())
		for j := range c.values[i] {
			value := random.NormFloat64()
			if i == 1 {
				value -= 2 // a small Δ
			}
			if i == 3 {
				value = -math.Abs(value) - 0.1
			}
			c.values[i][j] = float64(float32(value))
		}
	}
	return c
}

// run is the scan on a device: y [T,I] and the last state [N,I].
func (c scanExample) run(device *xla.Device) (y, h []float64, err error) {
	var declared []xla.Input
	var arguments []*tensors.Tensor
	add := func(name string, value *tensors.Tensor) {
		declared, arguments = append(declared, xla.Input{Name: name, Shape: value.Shape()}), append(arguments, value)
	}
	for i, values := range c.values {
		narrow := make([]float32, len(values))
		for j, value := range values {
			narrow[j] = float32(value)
		}
		add(fmt.Sprintf("operand%d", i), tensors.FromFlatDataAndDimensions(narrow, scanShapes[i]...))
	}
	add("start", tensors.FromFlatDataAndDimensions(make([]float32, scanStates*scanInner), 1, scanStates, scanInner))
	add("marks", tensors.FromFlatDataAndDimensions(make([]int32, scanTime), 1, scanTime))
	program, err := xla.Compile(device, "show scan", declared, func(_ *graph.Graph, in []*graph.Node) []*graph.Node {
		compute := func(i int) *graph.Node { return graph.ConvertDType(in[i], device.Compute) }
		outBTI, lastBNI := xla.Scan(xla.ScanInputs{
			UBTI: compute(0), DeltaBTI: compute(1), ZBTI: compute(2), ANI: in[3], BBTN: compute(4), CBTN: compute(5), DI: in[6], BiasI: in[7],
			StartBNI: in[8], MarkBT: in[9],
		})
		return []*graph.Node{graph.ConvertDType(outBTI, dtypes.Float32), lastBNI}
	})
	if err != nil {
		return nil, nil, err
	}
	defer program.Close()
	outputs, err := program.Run(arguments...)
	if err != nil {
		return nil, nil, err
	}
	results := make([][]float64, len(outputs))
	for i, output := range outputs {
		flat, err := tensors.CopyFlatData[float32](output)
		if err != nil {
			return nil, nil, err
		}
		for _, value := range flat {
			results[i] = append(results[i], float64(value))
		}
	}
	return results[0], results[1], nil
}

// reference is the scan in plain float64, with the last state as run gives it.
func (c scanExample) reference() (y, h []float64) {
	tape := ref.NewTape()
	array := func(i int) ref.Array { return tape.Array(scanShapes[i], c.values[i]) }
	out, last := ref.Scan(tape, ref.ScanInputs{
		U: array(0), Delta: array(1), Z: array(2), A: tape.Array([]int{scanInner, scanStates}, turned(c.values[3], scanStates, scanInner)),
		B: array(4), C: array(5), D: array(6), Bias: array(7),
	})
	return out.Values(), turned(last.Values(), scanInner, scanStates)
}

// turned transposes [rows, columns].
func turned(values []float64, rows, columns int) []float64 {
	transposed := make([]float64, len(values))
	for i, value := range values {
		transposed[i%columns*rows+i/columns] = value
	}
	return transposed
}
