package xla

import (
	"fmt"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// emulatedOperations are plannedOperations less those with the longest weights, and what else it takes to run every entry
// and, inside the entries, every loop.
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
			addEmulatedProducts(cases, dtype, name)
			addEmulatedSteps(cases, dtype, name)
		}
		cases["cross-entropy of a long row "+name] = planned{crossEntropy(15), []shapes.Shape{x(6, 2051), ints(6), float32s(6)}}
		cases["norm of part of a warp's row "+name] = planned{addRMSNorm(1e-6), []shapes.Shape{x(5, 1, 136), x(5, 1, 136)}}
		for label, c := range map[string]struct{ time, inner, taps int }{"in pieces of time": {1300, 24, 4}, "of odd channels": {9, 7, 5}} {
			inputs := []shapes.Shape{x(2, c.time, c.inner), float32s(c.taps, c.inner), float32s(c.inner), ints(2, c.time)}
			cases[fmt.Sprintf("conv %s %s", label, name)] = planned{causalConv(convOptions{documents: true}), inputs}
			cases[fmt.Sprintf("conv gradient %s %s", label, name)] = planned{causalConvGradient(convOptions{documents: true}),
				append(append([]shapes.Shape{}, inputs...), inputs[0])}
		}
		addEmulatedScans(cases, dtype, name)
	}
	return cases
}

// inTwoBlocks has the blocks of a product, of which any number will do, come round again.
func inTwoBlocks(o *Operation) *Operation {
	few := *o
	few.Kernel = func(inputs []shapes.Shape) (*Plan, string) {
		plan, reason := o.Kernel(inputs)
		if plan != nil {
			plan.Launches[0].Grid[0] = 2
		}
		return plan, reason
	}
	return &few
}

// addEmulatedProducts adds products with so many columns that a warp has two at a time, and of depths that a lane does not
// read at once.
func addEmulatedProducts(cases map[string]planned, dtype dtypes.DType, name string) {
	x := func(dims ...int) shapes.Shape { return shapes.Make(dtype, dims...) }
	for rows, columns := range map[int]int{1: 3187, 3: 2133, 8: 2133} {
		one, some, many := x(rows, 1, 72), x(73, 72), x(columns, 72)
		label := fmt.Sprintf("%s %d rows", name, rows)
		cases["three products of "+label] = planned{inTwoBlocks(matvec(matvecOptions{epsilon: 1e-6})), []shapes.Shape{one, some, many, x(5, 72)}}
		cases["three short products of "+label] = planned{matvec(matvecOptions{}), []shapes.Shape{one, some, x(40, 72), x(5, 72)}}
		cases["logits of "+label] = planned{inTwoBlocks(wide(1e-6, 15)), []shapes.Shape{one, many}}
		cases["few logits of "+label] = planned{wide(0, 0), []shapes.Shape{one, some}}
		cases["many products and convolution of "+label] = planned{inTwoBlocks(convProducts(1e-6)),
			[]shapes.Shape{one, many, x(41, 72), float32s(4, columns), float32s(columns), x(rows, 3, columns), ints(rows)}}
		cases["deep product of "+label] = planned{matvec(matvecOptions{relu: true, residual: true}), []shapes.Shape{x(rows, 1, 2600), x(rows, 1, 37), x(37, 2600)}}
	}
}

// addEmulatedSteps adds the rest of decoding: attention for each number of lanes and query heads, with the cache whole and
// in parts, and steps of other sizes than plannedOperations has.
func addEmulatedSteps(cases map[string]planned, dtype dtypes.DType, name string) {
	x := func(dims ...int) shapes.Shape { return shapes.Make(dtype, dims...) }
	for _, taps := range []int{2, 8} {
		cases[fmt.Sprintf("convolution step %s %d taps", name, taps)] = planned{convStep, []shapes.Shape{x(2, 1, 302), float32s(taps, 302), float32s(302), x(2, taps-1, 302), ints(2)}}
	}
	for _, rows := range []int{3, 21} {
		for _, states := range []int{4, 10, 12} {
			cases[fmt.Sprintf("scan step %s %d rows %d states", name, rows, states)] = planned{scanStep, []shapes.Shape{x(rows, 1, 40), x(rows, 1, 40), float32s(rows, 1, 8+2*states),
				x(40, 8), float32s(40), float32s(40, states), float32s(40), float32s(rows, states, 40), ints(rows)}}
		}
	}
	if name == "bf16" {
		for _, c := range [][4]int{{9, 32, 42, 4}, {32, 288, 80, 2}, {33, 96, 6, 8}, {64, 1056, 100, 4}} { // rows, depth, channels, taps
			cases[fmt.Sprintf("products of %d rows of %d numbers, and convolution", c[0], c[1])] = planned{convProducts(1e-6), []shapes.Shape{x(c[0], 1, c[1]),
				x(c[2], c[1]), x(c[2], c[1]), float32s(c[3], c[2]), float32s(c[2]), x(c[0], c[3]-1, c[2]), ints(c[0])}}
		}
		for _, c := range [][3]int{{9, 2816, 8}, {16, 256, 40}, {35, 5376, 16}} { // rows, depth, columns
			cases[fmt.Sprintf("projection of %d rows of %d numbers", c[0], c[1])] = planned{wide(0, 0), []shapes.Shape{x(c[0], 1, c[1]), x(c[2], c[1])}}
		}
	}
	for _, bytes := range []int{128, 256, 512} {
		for _, heads := range []int{1, 2, 4, 8} {
			for _, capacity := range []int{45, 150} {
				channels := bytes / dtype.Size()
				token, cache, table := x(3, 1, 1, channels), x(3, capacity, 1, channels), float32s(3, 1, 1, channels/2)
				cases[fmt.Sprintf("attention step %s %d heads of %d bytes over %d tokens", name, heads, bytes, capacity)] = planned{attendStep(1e-6),
					[]shapes.Shape{x(3, 1, heads, channels), token, token, table, table, cache, cache, ints(3), ints(3)}}
			}
		}
	}
}

// addEmulatedScans adds scans whose time is cut into segments, and one of nothing but whole blocks.
func addEmulatedScans(cases map[string]planned, dtype dtypes.DType, name string) {
	x := func(dims ...int) shapes.Shape { return shapes.Make(dtype, dims...) }
	for _, c := range []struct{ time, inner, states int }{{36, 64, 16}, {260, 6, 16}, {131, 6, 20}, {130, 33, 40}, {129, 5, 100}, {129, 5, 256}} {
		token, mix, state := x(2, c.time, c.inner), x(2, c.time, c.states), float32s(2, c.states, c.inner)
		forward := []shapes.Shape{token, token, token, float32s(c.states, c.inner), mix, mix, float32s(c.inner), float32s(c.inner), state, ints(2, c.time)}
		backward := append([]shapes.Shape{}, forward...)
		backward[8] = float32s(2, ceilDiv(c.time, ScanChunk), c.states, c.inner)
		label := fmt.Sprintf("%s %d tokens %d channels %d states", name, c.time, c.inner, c.states)
		cases["scan "+label] = planned{scanForward, forward}
		cases["scan gradient "+label] = planned{scanBackward, append(backward, token, state)}
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
