package xla

import (
	"fmt"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// emulatedOperations are plannedOperations less those with the longest weights, and cases for what only depends on sizes
// inside an entry.
func emulatedOperations() map[string]planned {
	cases := plannedOperations()
	for name := range cases {
		if strings.HasPrefix(name, "three products") || strings.HasPrefix(name, "logits") {
			delete(cases, name)
		}
	}
	for dtype, name := range kernelDTypes {
		x := func(dims ...int) shapes.Shape { return shapes.Make(dtype, dims...) }
		if name != "f16" {
			addEmulatedSteps(cases, dtype, name)
		}
		cases["cross-entropy with more than a block reads at once "+name] = planned{crossEntropy(15), []shapes.Shape{x(6, 2051), ints(6), float32s(6)}}
		cases["norm of a row that is nearly whole "+name] = planned{addRMSNorm(1e-6), []shapes.Shape{x(5, 1, 136), x(5, 1, 136)}}
		cases["conv in pieces of time "+name] = planned{causalConv(convOptions{documents: true}), []shapes.Shape{x(2, 70, 24), float32s(4, 24), float32s(24), ints(2, 70)}}
		cases["conv gradient in pieces of time "+name] = planned{causalConvGradient(convOptions{documents: true}),
			[]shapes.Shape{x(2, 300, 24), float32s(4, 24), float32s(24), ints(2, 300), x(2, 300, 24)}}
		addEmulatedScans(cases, dtype, name)
	}
	return cases
}

// addEmulatedSteps adds products at which a warp has one column or two and blocks come round again, and depths that a lane
// does not read at once.
func addEmulatedSteps(cases map[string]planned, dtype dtypes.DType, name string) {
	x := func(dims ...int) shapes.Shape { return shapes.Make(dtype, dims...) }
	for _, rows := range []int{1, 3, 8} {
		one, square, long := x(rows, 1, 72), x(73, 72), x(3301, 72)
		if rows == 1 {
			long = x(6401, 72)
		}
		label := fmt.Sprintf("%s %d rows", name, rows)
		cases["three products of "+label] = planned{matvec(matvecOptions{epsilon: 1e-6}), []shapes.Shape{one, square, long, x(5, 72)}}
		cases["three small products of "+label] = planned{matvec(matvecOptions{}), []shapes.Shape{one, square, x(40, 72), x(5, 72)}}
		cases["logits of "+label] = planned{wide(1e-6, 15), []shapes.Shape{one, long}}
		cases["few logits of "+label] = planned{wide(0, 0), []shapes.Shape{one, square}}
		cases["products and convolution of "+label] = planned{convProducts(1e-6), []shapes.Shape{one, long, x(41, 72), float32s(4, long.Dim(0)), float32s(long.Dim(0)), x(rows, 3, long.Dim(0)), ints(rows)}}
		cases["deep product of "+label] = planned{matvec(matvecOptions{relu: true, residual: true}), []shapes.Shape{x(rows, 1, 2600), x(rows, 1, 37), x(37, 2600)}}
	}
	cases["convolution step of two taps "+name] = planned{convStep, []shapes.Shape{x(2, 1, 300), float32s(2, 300), float32s(300), x(2, 1, 300), ints(2)}}
	for _, rows := range []int{3, 21} {
		cases[fmt.Sprintf("scan step of 12 states %s %d rows", name, rows)] = planned{scanStep, []shapes.Shape{x(rows, 1, 40), x(rows, 1, 40), float32s(rows, 1, 8+24),
			x(40, 8), float32s(40), float32s(40, 12), float32s(40), float32s(rows, 12, 40), ints(rows)}}
	}
	for _, bytes := range []int{128, 512} {
		for _, heads := range []int{1, 2, 4, 8} {
			e := bytes / dtype.Size()
			cases[fmt.Sprintf("attention step %s %d heads of %d bytes", name, heads, bytes)] = planned{attendStep(1e-6),
				[]shapes.Shape{x(3, 1, heads, e), x(3, 1, 1, e), x(3, 1, 1, e), float32s(3, 1, 1, e/2), float32s(3, 1, 1, e/2), x(3, 45, 1, e), x(3, 45, 1, e), ints(3), ints(3)}}
		}
	}
}

// addEmulatedScans adds scans whose time is cut into segments, and whose channels and states are whole.
func addEmulatedScans(cases map[string]planned, dtype dtypes.DType, name string) {
	for label, c := range map[string]struct{ time, inner, states int }{"in two segments": {131, 6, 16}, "of whole blocks": {36, 64, 16}, "in two segments of 40 states": {130, 33, 40}} {
		x := func(dims ...int) shapes.Shape { return shapes.Make(dtype, dims...) }
		token, mix, state := x(2, c.time, c.inner), x(2, c.time, c.states), float32s(2, c.states, c.inner)
		forward := []shapes.Shape{token, token, token, float32s(c.states, c.inner), mix, mix, float32s(c.inner), float32s(c.inner), state, ints(2, c.time)}
		backward := append([]shapes.Shape{}, forward...)
		backward[8] = float32s(2, ceilDiv(c.time, ScanChunk), c.states, c.inner)
		cases[fmt.Sprintf("scan %s %s", label, name)] = planned{scanForward, forward}
		cases[fmt.Sprintf("scan gradient %s %s", label, name)] = planned{scanBackward, append(backward, token, state)}
	}
}

// preparations make inputs what they must be, by the operation's name: as selfTests do, and with documents, padding, rows
// without a token and targets of every kind.
var preparations = map[string]func(inputs []*graph.Node){
	"selective_scan_forward":  func(inputs []*graph.Node) { decaying(inputs); marked(inputs) },
	"selective_scan_backward": func(inputs []*graph.Node) { decaying(inputs); marked(inputs) },
	"causal_conv":             documents,
	"causal_conv_gradient":    documents,
	"rotary_norm":             onCircle(1, 2),
	"rotary_norm_gradient":    onCircle(3, 4),
	"conv_products":           func(inputs []*graph.Node) { fill(inputs, 6, someRows) },
	"conv_step":               func(inputs []*graph.Node) { fill(inputs, 4, someRows) },
	"scan_step":               func(inputs []*graph.Node) { fill(inputs, 8, someRows) },
	"attend_step": func(inputs []*graph.Node) {
		onCircle(3, 4)(inputs)
		capacity := inputs[5].Shape().Dim(1)
		// The second row has no token, and the third one's cache is full.
		fill(inputs, 7, func(row, _ int) int { return []int{capacity * 2 / 3, 7, capacity}[row%3] })
		fill(inputs, 8, someRows)
	},
	"cross_entropy": func(inputs []*graph.Node) {
		vocab := inputs[0].Shape().Dim(1)
		inputs[0] = graph.MulScalar(inputs[0], 30) // beyond the cap
		fill(inputs, 1, func(row, _ int) int { return []int{vocab - 1, -1, 0, vocab / 2}[row%4] })
	},
}

// fill puts numbers by their row and place in it into an int32 input.
func fill(inputs []*graph.Node, at int, number func(row, place int) int) {
	shape := inputs[at].Shape()
	width := 1
	if shape.Rank() > 1 {
		width = shape.Dim(1)
	}
	values := make([]int32, shape.Size())
	for i := range values {
		values[i] = int32(number(i/width, i%width))
	}
	inputs[at] = graph.Const(inputs[at].Graph(), tensors.FromFlatDataAndDimensions(values, shape.Dimensions...))
}

// hasNoToken tells the rows without one.
func hasNoToken(row int) bool { return row%3 == 1 }

func someRows(row, _ int) int { return bit(!hasNoToken(row)) }

// marked starts documents at, before and after a tile's edge, and ends the second row in padding.
func marked(inputs []*graph.Node) {
	time := inputs[9].Shape().Dim(1)
	fill(inputs, 9, func(row, t int) int {
		switch {
		case row == 1 && t >= time-5:
			return int(MarkPadding)
		case row == 0 && (t == 13 || t == 63 || t == 98) || row == 1 && (t == 0 || t == 32):
			return int(MarkStart)
		}
		return int(MarkContinue)
	})
}

// documents puts documents of 4 tokens, or all of 1 in the second row, where a convolution has them.
func documents(inputs []*graph.Node) {
	for i, input := range inputs {
		if input.DType() == dtypes.Int32 {
			fill(inputs, i, func(row, t int) int { return t / []int{4, 1}[row%2] })
		}
	}
}
