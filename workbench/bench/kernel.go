package bench

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"tandem/xla"
)

// KernelShape is the size of one operation: Channels is the scan's and the convolution's inner width, or the channels of an
// attention head.
type KernelShape struct {
	Batch    int `json:"batch"`
	Time     int `json:"time"`
	Channels int `json:"channels"`
	// States is of the scan, Heads of attention, Taps of the convolution.
	States int `json:"states,omitempty"`
	Heads  int `json:"heads,omitempty"`
	Taps   int `json:"taps,omitempty"`
}

// KernelResult is what one operation costs.
type KernelResult struct {
	Operation string      `json:"operation"`
	Device    string      `json:"device"`
	Shape     KernelShape `json:"shape"`
	// ForwardMs is one forward pass in milliseconds, BothMs forward and backward.
	ForwardMs float64 `json:"forward_ms"`
	BothMs    float64 `json:"both_ms"`
	// Bytes is what a forward and backward pass must read and write at least; GBPerSecond is that over BothMs.
	Bytes       int64          `json:"bytes"`
	GBPerSecond float64        `json:"gb_per_second"`
	Decisions   []xla.Decision `json:"decisions"`
}

// kernelCase builds one use of an operation from inputs of the given shapes; the first input and the output are alike.
type kernelCase struct {
	inputs []shapes.Shape
	build  func(inputs []*graph.Node) *graph.Node
	// bytes counts reads and writes of forward and backward.
	bytes int64
}

// KernelNames lists what Kernel measures.
var KernelNames = []string{"scan", "conv", "attention"}

// maxKernelNumbers bounds what one tensor of a measurement holds, at 8 GiB of float32.
const maxKernelNumbers = 1 << 31

// validate refuses sizes of which no graph can be made, or that no machine could hold.
func (s KernelShape) validate(name string) error {
	type size struct {
		flag  string
		value int
	}
	sizes := map[string][]size{
		"scan":      {{"batch", s.Batch}, {"context", s.Time}, {"inner", s.Channels}, {"state", s.States}},
		"conv":      {{"batch", s.Batch}, {"context", s.Time}, {"inner", s.Channels}, {"conv", s.Taps}},
		"attention": {{"batch", s.Batch}, {"context", s.Time}, {"heads", s.Heads}, {"head_dim", s.Channels}},
	}[name]
	for _, size := range sizes {
		if size.value < 1 || size.value > maxKernelNumbers {
			return mistake("bench %s: %s %d: must lie between 1 and %d", name, size.flag, size.value, maxKernelNumbers)
		}
	}
	numbers := float64(s.Batch) * float64(s.Time) * float64(s.Channels) * float64(max(s.Heads, 1))
	if numbers > maxKernelNumbers {
		return mistake("bench %s: one tensor would hold %.3g numbers, and at most %d are measured; lower batch or context", name, numbers, maxKernelNumbers)
	}
	return nil
}

// Kernel measures one of KernelNames in the device's compute dtype, as the median of so many repeats.
func Kernel(ctx context.Context, name, backend string, shape KernelShape, repeats int) (KernelResult, error) {
	result := KernelResult{Operation: name, Shape: shape}
	if !slices.Contains(KernelNames, name) {
		return result, fmt.Errorf("bench %q: unknown operation; there are %v", name, KernelNames)
	}
	if err := cmp.Or(shape.validate(name), positiveRepeats(repeats)); err != nil {
		return result, err
	}
	device, err := xla.Open(backend)
	if err != nil {
		return result, err
	}
	defer device.Finalize()
	result.Device = device.Description()
	var c kernelCase
	switch name {
	case "scan":
		c = scanCase(device.Compute, shape)
	case "conv":
		c = convCase(device.Compute, shape)
	case "attention":
		c = attentionCase(device.Compute, shape)
	}
	result.Bytes = c.bytes
	if result.ForwardMs, err = c.measure(ctx, device, repeats, false); err != nil {
		return result, err
	}
	if result.BothMs, err = c.measure(ctx, device, repeats, true); err != nil {
		return result, err
	}
	result.GBPerSecond = float64(c.bytes) / 1e6 / result.BothMs
	result.Decisions = xla.Decisions()
	return result, nil
}

// kernelChain is how often an operation stands in the measured program, one use feeding the next: a program's start costs
// more than a small operation.
const kernelChain = 8

func (c kernelCase) measure(ctx context.Context, device *xla.Device, repeats int, backward bool) (milliseconds float64, err error) {
	inputs := make([]xla.Input, len(c.inputs))
	arguments := make([]*tensors.Tensor, len(c.inputs))
	for i, shape := range c.inputs {
		inputs[i] = xla.Input{Name: fmt.Sprintf("input%d", i), Shape: shape}
		draw, err := xla.Compile(device, "draw", []xla.Input{{Name: "seed", Shape: shapes.Make(dtypes.Float32)}}, func(g *graph.Graph, in []*graph.Node) []*graph.Node {
			wave := graph.Sin(graph.Mul(in[0], graph.Iota(g, shapes.Make(dtypes.Float32, shape.Size()), 0)))
			return []*graph.Node{graph.ConvertDType(graph.Reshape(wave, shape.Dimensions...), shape.DType)}
		})
		if err != nil {
			return 0, err
		}
		outputs, err := draw.Run(tensors.FromScalar(float32(i) + 0.37))
		draw.Close()
		if err != nil {
			return 0, err
		}
		arguments[i] = outputs[0]
	}
	program, err := xla.Compile(device, "kernel", inputs, func(_ *graph.Graph, in []*graph.Node) []*graph.Node {
		operands := append([]*graph.Node{}, in...)
		var rest []*graph.Node
		for range kernelChain {
			out := c.build(operands)
			if backward { // the first gradient goes on in place of the output; the others are only kept
				gradients := graph.Gradient(graph.ReduceAllSum(graph.Mul(out, graph.StopGradient(in[0]))), floats(operands)...)
				out, rest = gradients[0], append(rest, gradients[1:]...)
			}
			operands[0] = graph.OptimizationBarrier(graph.StopGradient(out))
		}
		return append(rest, operands[0])
	})
	if err != nil {
		return 0, err
	}
	defer program.Close()
	seconds, err := median(ctx, repeats, func() error {
		outputs, err := program.Run(arguments...)
		if err != nil {
			return err
		}
		for _, output := range outputs {
			if err := output.FinalizeAll(); err != nil {
				return err
			}
		}
		return nil
	})
	return 1000 * seconds / kernelChain, err
}

// floats are the nodes that have gradients.
func floats(nodes []*graph.Node) (found []*graph.Node) {
	for _, node := range nodes {
		if node.DType().IsFloat() {
			found = append(found, node)
		}
	}
	return found
}

// scanCase is the scan with bias, D and gate. It reads u, δ, z and writes out; backward reads them and the adjoint again and
// writes three gradients.
func scanCase(dtype dtypes.DType, s KernelShape) kernelCase {
	token, mix := shapes.Make(dtype, s.Batch, s.Time, s.Channels), shapes.Make(dtype, s.Batch, s.Time, s.States)
	f32 := func(dims ...int) shapes.Shape { return shapes.Make(dtypes.Float32, dims...) }
	inputs := []shapes.Shape{token, token, token, f32(s.States, s.Channels), mix, mix, f32(s.Channels), f32(s.Channels),
		f32(s.Batch, s.States, s.Channels), shapes.Make(dtypes.Int32, s.Batch, s.Time)}
	build := func(in []*graph.Node) *graph.Node {
		out, _ := xla.Scan(xla.ScanInputs{UBTI: in[0], DeltaBTI: in[1], ZBTI: in[2], ANI: graph.Neg(graph.Abs(in[3])), BBTN: in[4], CBTN: in[5],
			DI: in[6], BiasI: in[7], StartBNI: in[8], MarkBT: graph.ZerosLike(in[9])})
		return out
	}
	return kernelCase{inputs, build, int64(11*token.Size()+6*mix.Size()) * int64(dtype.Size())}
}

// convCase is the convolution with its SiLU: x and out, then x, the adjoint and dx.
func convCase(dtype dtypes.DType, s KernelShape) kernelCase {
	token := shapes.Make(dtype, s.Batch, s.Time, s.Channels)
	inputs := []shapes.Shape{token, shapes.Make(dtypes.Float32, s.Taps, s.Channels), shapes.Make(dtypes.Float32, s.Channels)}
	build := func(in []*graph.Node) *graph.Node {
		return xla.CausalConv(xla.ConvInputs{XBTI: in[0], WeightWI: in[1], BiasI: in[2]})
	}
	return kernelCase{inputs, build, int64(5*token.Size()) * int64(dtype.Size())}
}

// attentionCase is causal attention: q, k, v and out, then those, the adjoint and three gradients.
func attentionCase(dtype dtypes.DType, s KernelShape) kernelCase {
	heads := shapes.Make(dtype, s.Batch, s.Time, s.Heads, s.Channels)
	build := func(in []*graph.Node) *graph.Node {
		if fused := xla.FusedAttention(in[0], in[1], in[2]); fused != nil {
			return fused
		}
		g := in[0].Graph()
		query := graph.Iota(g, shapes.Make(dtypes.Int32, 1, s.Time, s.Time), 1)
		key := graph.Iota(g, shapes.Make(dtypes.Int32, 1, s.Time, s.Time), 2)
		bias := graph.Where(graph.LessOrEqual(key, query), graph.Const(g, float32(0)), graph.Const(g, float32(-1e9)))
		return graph.Reshape(xla.Attend(in[0], in[1], in[2], bias), s.Batch, s.Time, s.Heads, s.Channels)
	}
	return kernelCase{[]shapes.Shape{heads, heads, heads}, build, int64(12*heads.Size()) * int64(dtype.Size())}
}
