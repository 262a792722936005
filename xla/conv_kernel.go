package xla

import (
	"fmt"

	"github.com/gomlx/compute/shapes"
)

// The convolution on CUDA: kernels/conv_forward.cu and conv_backward.cu.

// convSteps is the tokens that one thread walks over: longer walks read fewer tokens twice, shorter ones make more threads.
const convSteps = 32

// convSizes are the sizes of one convolution.
type convSizes struct {
	entry                    string // of the kernel, after its direction: dtype, taps and kind
	batch, time, inner, taps int
	pieces                   int // of time
	vector                   int // channels a thread
	values                   sizes
}

func convSizesOf(o convOptions, in []shapes.Shape, vector int) (c convSizes, reason string) {
	x, weight := in[0], in[1]
	dtype, reason := kernelDType(x.DType)
	if reason != "" {
		return c, reason
	}
	c = convSizes{batch: x.Dim(0), time: x.Dim(1), inner: x.Dim(2), taps: weight.Dim(0), vector: vector / x.DType.Size()}
	switch {
	case c.taps <= 4:
		c.entry = dtype + "_w4"
	case c.taps <= 8:
		c.entry = dtype + "_w8"
	default:
		return c, fmt.Sprintf("its kernel takes 2 to 8 taps, not %d", c.taps)
	}
	if c.inner%c.vector != 0 {
		c.entry += "_any"
		c.vector = 1
	}
	c.pieces = ceilDiv(c.time, convSteps)
	flag := map[bool]int{true: 1}
	c.values = sizes{
		"kBatch": c.batch, "kTime": c.time, "kInner": c.inner, "kTaps": c.taps, "kStride": c.inner, "kOffset": 0,
		"kSteps": convSteps, "kDocuments": flag[o.documents], "kWindow": flag[o.window],
	}
	return c, ""
}

// operands are x, weight, bias, documents and window; a kernel does not look at the last two where there are none.
func (o convOptions) operands() []int {
	documents, window, next := 0, 0, 3
	if o.window {
		window, next = next, next+1
	}
	if o.documents {
		documents = next
	}
	return []int{0, 1, 2, documents, window}
}

func causalConvKernel(o convOptions) func([]shapes.Shape) (*Plan, string) {
	return func(in []shapes.Shape) (*Plan, string) {
		c, reason := convSizesOf(o, in, vectorBytes)
		if reason != "" {
			return nil, reason
		}
		entry := "conv_silu_forward_" + c.entry
		launch := Launch{
			PTX: openModule("conv_forward").entry(entry, c.values), Entry: entry,
			Grid: [3]int{ceilDiv(c.batch*c.pieces*c.inner/c.vector, 128), 1, 1}, Block: [3]int{128, 1, 1},
			Operands: o.operands(), Results: in[:1],
		}
		return single(launch, "", len(in))
	}
}

func causalConvGradientKernel(o convOptions) func([]shapes.Shape) (*Plan, string) {
	return func(in []shapes.Shape) (*Plan, string) {
		vector := vectorBytes
		if in[1].Dim(0) > 4 { // long windows fill the registers
			vector /= 2
		}
		c, reason := convSizesOf(o, in, vector)
		if reason != "" {
			return nil, reason
		}
		const columns, rows = 32, 8 // of a block
		backward, next := "conv_silu_backward_"+c.entry, len(in)
		grid := [3]int{ceilDiv(c.inner/c.vector, columns), ceilDiv(c.pieces, rows), c.batch}
		parts := c.batch * grid[1]
		window := shapes.Make(in[0].DType, 1)
		if o.window {
			window = in[3]
		}
		launches := []Launch{{
			PTX: openModule("conv_backward").entry(backward, c.values), Entry: backward, Grid: grid, Block: [3]int{columns, rows, 1},
			Operands: append(o.operands(), next-1), Results: []shapes.Shape{in[0], float32s(parts, c.taps+1, c.inner), window},
		}, {
			PTX:   openModule("conv_backward").entry("conv_silu_sum", sizes{"kInner": c.inner, "kTaps": c.taps, "kPartials": parts}),
			Entry: "conv_silu_sum", Grid: [3]int{ceilDiv((c.taps+1)*c.inner, columns), 1, 1}, Block: [3]int{columns, rows, 1},
			Operands: []int{next + 1}, Results: []shapes.Shape{in[1], in[2]},
		}}
		outputs := []int{next, next + 3, next + 4}
		if o.window {
			outputs = append(outputs, next+2)
		}
		return &Plan{Launches: launches, Outputs: outputs}, ""
	}
}
