package xla

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// Check is one operation's kernel compared with its definition on the device.
type Check struct {
	Operation string `json:"operation"`
	// Error is the largest difference of any output, relative to the output's largest value.
	Error float64 `json:"error"`
	// Allowed is what rounding explains.
	Allowed float64 `json:"allowed"`
	// Problem is what went wrong, if the kernel could not run.
	Problem string `json:"problem,omitempty"`
	// Refused is why this GPU runs the definition instead; nothing was compared then.
	Refused string `json:"refused,omitempty"`
}

// OK tells whether the kernel agrees with its definition, or is not used.
func (c Check) OK() bool { return c.Problem == "" && c.Error <= c.Allowed }

// largestErrors is what rounding explains, by the dtype of the inputs.
var largestErrors = map[dtypes.DType]float64{dtypes.BFloat16: 2e-2, dtypes.Float16: 4e-3, dtypes.Float32: 2e-5}

// SelfTest runs every kernel once against its definition, in the dtype that the device computes in. It takes seconds, and
// is empty where there are no kernels.
func SelfTest(device *Device) []Check {
	wrapped, ok := device.Backend.(*kernels)
	if !ok || !wrapped.cuda {
		return nil
	}
	var checks []Check
	for _, test := range selfTests(device.Compute) {
		checks = append(checks, test.check(device))
	}
	return checks
}

// selfTest is an operation on random inputs of these shapes.
type selfTest struct {
	operation *Operation
	inputs    []shapes.Shape
	// prepare makes inputs that must not be just anything what they must be; nil leaves them.
	prepare func(inputs []*graph.Node)
}

// decaying makes the scan's A negative.
func decaying(inputs []*graph.Node) { inputs[3] = graph.Neg(graph.Abs(inputs[3])) }

// midway makes an int32 input the positions 40, 41, … of rows, and another their lengths, all 1.
func midway(position, length int) func(inputs []*graph.Node) {
	return func(inputs []*graph.Node) {
		g, shape := inputs[position].Graph(), inputs[position].Shape()
		inputs[position] = graph.AddScalar(graph.Iota(g, shape, 0), 40)
		inputs[length] = graph.AddScalar(inputs[length], 1)
	}
}

// onCircle makes two inputs the cosine and sine of the first.
func onCircle(cos, sin int) func(inputs []*graph.Node) {
	return func(inputs []*graph.Node) {
		angle := inputs[cos]
		inputs[cos], inputs[sin] = graph.Cos(angle), graph.Sin(angle)
	}
}

// selfTests lists every operation that has a kernel.
func selfTests(dtype dtypes.DType) []selfTest {
	x := func(dims ...int) shapes.Shape { return shapes.Make(dtype, dims...) }
	ints := func(dims ...int) shapes.Shape { return shapes.Make(dtypes.Int32, dims...) }
	const batch, time, width, inner, states, heads, channels, taps, vocab = 2, 100, 128, 256, 16, 2, 64, 4, 512
	token, mix, state := x(batch, time, inner), x(batch, time, states), float32s(batch, states, inner)
	scan := []shapes.Shape{token, token, token, float32s(states, inner), mix, mix, float32s(inner), float32s(inner), state, ints(batch, time)}
	back := append(append([]shapes.Shape{}, scan...), token, state)
	back[8] = float32s(batch, ceilDiv(time, ScanChunk), states, inner)
	conv := []shapes.Shape{token, float32s(taps, inner), float32s(inner), x(batch, taps-1, inner), ints(batch, time)}
	both := convOptions{window: true, documents: true}
	norm, head := x(batch, time, width), x(batch, time, heads, channels)
	table := float32s(1, time, 1, channels/2)
	one, cache, angles := x(batch, 1, inner), x(batch, time, heads, channels), float32s(batch, 1, 1, channels/2)
	step := []shapes.Shape{x(batch, 1, 2*heads, channels), x(batch, 1, heads, channels), x(batch, 1, heads, channels), angles, angles, cache, cache, ints(batch), ints(batch)}
	const rank, many = 8, 21
	taken := func(rows int) []shapes.Shape { // after x
		return []shapes.Shape{float32s(taps, inner), float32s(inner), x(rows, taps-1, inner), ints(rows)}
	}
	products := func(rows int) []shapes.Shape {
		return append([]shapes.Shape{x(rows, 1, width), x(inner, width), x(inner, width)}, taken(rows)...)
	}
	selective := func(rows int) []shapes.Shape {
		row := x(rows, 1, inner)
		return []shapes.Shape{row, row, float32s(rows, 1, rank+2*states), x(inner, rank), float32s(inner), float32s(inner, states), float32s(inner),
			float32s(rows, states, inner), ints(rows)}
	}
	some := func(at int) func([]*graph.Node) { return func(inputs []*graph.Node) { midway(at, at)(inputs) } }
	position, length := len(step)-2, len(step)-1
	return []selfTest{
		{matvec(matvecOptions{epsilon: 1e-6}), []shapes.Shape{x(batch, 1, width), x(inner, width), x(width, width), x(width, width)}, nil},
		{matvec(matvecOptions{relu: true, residual: true}), []shapes.Shape{x(batch, 1, width), x(batch, 1, inner), x(inner, width)}, nil},
		{wide(1e-6, 15), []shapes.Shape{x(batch, 1, width), x(vocab, width)}, nil},
		{attendStep(1e-6), step, func(inputs []*graph.Node) { onCircle(3, 4)(inputs); midway(position, length)(inputs) }},
		{convProducts(1e-6), products(batch), some(6)}, {convProducts(1e-6), products(many), some(6)},
		{convStep, append([]shapes.Shape{one}, taken(batch)...), some(4)}, {scanStep, selective(batch), some(8)}, {scanStep, selective(many), some(8)},
		{wide(0, 0), []shapes.Shape{x(many, 1, inner), x(rank+2*states, inner)}, nil},
		{scanForward, scan, decaying}, {scanBackward, back, decaying},
		{causalConv(both), conv, nil}, {causalConvGradient(both), append(append([]shapes.Shape{}, conv...), token), nil},
		{rmsNorm(1e-6), []shapes.Shape{norm}, nil},
		{addRMSNorm(1e-6), []shapes.Shape{norm, norm}, nil},
		{rmsNormGradient, []shapes.Shape{norm, float32s(batch, time, 1), norm, norm}, nil},
		{rotaryNorm(1e-6), []shapes.Shape{head, table, table}, onCircle(1, 2)},
		{rotaryNormGradient, []shapes.Shape{head, float32s(batch, time, heads, 1), head, table, table}, onCircle(3, 4)},
		{crossEntropy(15), []shapes.Shape{x(batch*time, vocab), ints(batch * time), float32s(batch * time)}, nil},
	}
}

// check compares, where the device runs the kernel.
func (s selfTest) check(device *Device) Check {
	check := Check{Operation: s.operation.Name, Allowed: largestErrors[device.Compute]}
	err := Try(func() (err error) {
		if _, check.Refused = s.operation.kernelWithin(device.Limits(), s.inputs); check.Refused == "" {
			check.Error, err = s.compare(device)
		}
		return err
	})
	if err != nil {
		check.Problem = err.Error()
	}
	return check
}

// compare runs kernel and definition on the same random inputs in one program.
func (s selfTest) compare(device *Device) (worst float64, err error) {
	plain := *s.operation
	plain.Kernel, plain.Options = nil, plain.Options+"_definition"
	inputs, arguments := make([]Input, len(s.inputs)), make([]*tensors.Tensor, len(s.inputs))
	random := rand.New(rand.NewPCG(3, 5))
	for i, shape := range s.inputs {
		inputs[i] = Input{Name: fmt.Sprintf("input%d", i), Shape: shape}
		arguments[i] = randomTensor(random, shape)
		if shape.DType != dtypes.Int32 {
			inputs[i].Shape = float32s(shape.Dimensions...)
		}
	}
	program, err := Compile(device, "self-test "+s.operation.Name, inputs, func(_ *graph.Graph, nodes []*graph.Node) []*graph.Node {
		for i := range nodes {
			nodes[i] = graph.ConvertDType(nodes[i], s.inputs[i].DType)
		}
		if s.prepare != nil {
			s.prepare(nodes)
		}
		outputs := append(s.operation.Call(nodes...), plain.Call(nodes...)...)
		for i := range outputs {
			outputs[i] = graph.ConvertDType(outputs[i], dtypes.Float32)
		}
		return outputs
	})
	if err != nil {
		return 0, err
	}
	defer program.Close()
	outputs, err := program.Run(arguments...)
	if err != nil {
		return 0, err
	}
	half := len(outputs) / 2
	for i := range half {
		got, want := tensors.MustCopyFlatData[float32](outputs[i]), tensors.MustCopyFlatData[float32](outputs[half+i])
		worst = max(worst, relativeDifference(got, want))
	}
	return worst, nil
}

// randomTensor draws numbers that every operation takes: float32 in (-1, 1), and zeros for int32, which as marks continue,
// as documents are one, and as targets exist.
func randomTensor(random *rand.Rand, shape shapes.Shape) *tensors.Tensor {
	if shape.DType == dtypes.Int32 {
		return tensors.FromFlatDataAndDimensions(make([]int32, shape.Size()), shape.Dimensions...)
	}
	values := make([]float32, shape.Size())
	for i := range values {
		values[i] = 2*random.Float32() - 1
	}
	return tensors.FromFlatDataAndDimensions(values, shape.Dimensions...)
}

// relativeDifference is the largest difference over the largest wanted value; infinite if a number is not finite.
func relativeDifference(got, want []float32) float64 {
	var worst, scale float64
	for i := range want {
		difference := math.Abs(float64(got[i]) - float64(want[i]))
		if math.IsNaN(difference) {
			return math.Inf(1)
		}
		worst, scale = max(worst, difference), max(scale, math.Abs(float64(want[i])))
	}
	return worst / max(scale, 1e-30)
}
