package xla

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/gobackend"
	. "github.com/gomlx/gomlx/core/graph"
)

// Forms of the same arithmetic for two kinds of backend. XLA fuses element-wise operations and reductions, so the plain
// form is best there. The Go backend runs each operation alone, and its speed hangs on the form: element-wise operations
// are fast on equal shapes and five times slower with implicit broadcasting, reductions are five times slower than
// products with the same result, concatenation copies whole rows, and products whose second operand lies with the
// contracted axis last are slow unless they are large (docs/benchmarks/go-backend.md has the numbers).

// plainForms makes the Go backend use XLA's forms; a variable for tests alone.
var plainForms = false

// goForms tells whether the forms for the Go backend are to be used in x's graph.
func goForms(x *Node) bool {
	return !plainForms && x.Graph().Backend().String() == gobackend.BackendName
}

// repeat makes an axis of length 1 count long, where broadcasting would not be as fast.
func repeat(x *Node, axis, count int) *Node {
	if !goForms(x) {
		return x
	}
	copies := 1 // of copies: two small concatenations are cheaper than one of many parts
	for d := 2; d*d <= count; d++ {
		if count%d == 0 {
			copies = d
		}
	}
	return concatenate(times(concatenate(times(x, copies), axis), count/copies), axis)
}

// Broadcast is x, whose axes of length 1 become as long as dims says.
func Broadcast(x *Node, dims ...int) *Node {
	if !goForms(x) {
		return BroadcastToDims(x, dims...)
	}
	for axis := x.Rank() - 1; axis >= 0; axis-- {
		if x.Shape().Dim(axis) < dims[axis] {
			x = repeat(x, axis, dims[axis])
		}
	}
	return x
}

// times lists x so many times.
func times(x *Node, count int) []*Node {
	list := make([]*Node, count)
	for i := range list {
		list[i] = x
	}
	return list
}

// alongTokens gives [I] the axes of [B,T,I].
func alongTokens(xI *Node, batch, time int) *Node {
	return repeat(repeat(Reshape(xI, 1, 1, -1), 1, time), 0, batch)
}

// product contracts one axis of each operand, batched over the first axis if they have three. With an accumulator dtype,
// GoMLX's default, the gradient of a bfloat16 product would be computed in float32.
func product(a, b *Node, axisA, axisB int) *Node {
	var batch []int
	if a.Rank() == 3 {
		batch = []int{0}
	}
	return Dot(a, b).WithAccumulatorDType(dtypes.InvalidDType).General([]int{axisA}, batch, []int{axisB}, batch)
}

// outer is x_n·y_i: [B,N,1] and [B,1,I] to [B,N,I].
func outer(xBN1, yB1I *Node) *Node {
	if goForms(xBN1) {
		return product(xBN1, yB1I, 2, 1)
	}
	return Mul(xBN1, yB1I)
}

// mixRows is Σ_n w_n·x_n: [B,1,N] and [B,N,I] to [B,1,I].
func mixRows(wB1N, xBNI *Node) *Node {
	if goForms(wB1N) {
		return product(wB1N, xBNI, 2, 1)
	}
	return ReduceAndKeep(Mul(TransposeAllDims(wB1N, 0, 2, 1), xBNI), ReduceSum, 1)
}

// dotRows is Σ_i x_ni·y_i: [B,N,I] and [B,1,I] to [B,N,1].
func dotRows(xBNI, yB1I *Node) *Node {
	if goForms(xBNI) {
		return product(xBNI, yB1I, 2, 2)
	}
	return ReduceAndKeep(Mul(xBNI, yB1I), ReduceSum, 2)
}

// SumLast sums over the last axis and keeps it with length 1. The Go backend's own sum takes one number after the other: it is
// slower, and of 65,536 nearly equal numbers the fourth digit is wrong. Its products do so in a few lanes, so long rows go
// through in parts, whose sums are summed.
func SumLast(x *Node) *Node {
	if !goForms(x) {
		return ReduceAndKeep(x, ReduceSum, -1)
	}
	const long, part = 4096, 256
	rows, size := flat(x), x.Shape().Dim(-1)
	if size > long && size%part == 0 {
		rows = Reshape(timesOnes(Reshape(rows, -1, part)), -1, size/part)
	}
	return Reshape(timesOnes(rows), withLast(x, 1)...)
}

// timesOnes sums each row: [M,I] to [M,1].
func timesOnes(xMI *Node) *Node {
	return product(xMI, BroadcastToDims(constant(xMI, 1), 1, xMI.Shape().Dim(1)), 1, 1)
}

// SumAll sums over all axes. The Go backend's own sum of 4 million squares is 0.4 % too small.
func SumAll(x *Node) *Node {
	if !goForms(x) {
		return ReduceAllSum(x)
	}
	return Reshape(SumLast(Reshape(SumLast(x), 1, -1)))
}

// sumColumns sums over all axes but the last: […,I] to [I].
func sumColumns(x *Node) *Node {
	size := x.Shape().Dim(-1)
	xMI := Reshape(x, -1, size)
	if !goForms(x) {
		return ReduceSum(xMI, 0)
	}
	ones := BroadcastToDims(constant(x, 1), 1, xMI.Shape().Dim(0))
	return Reshape(product(ones, xMI, 1, 0), size)
}

// transposedProduct is aᵀ·b: [M,I] and [M,O] to [I,O], or [K,M,I] and [K,M,O] to [K,I,O], in the given dtype. The Go
// backend would transpose both operands, so the narrower one is transposed for it.
func transposedProduct(a, b *Node, dtype dtypes.DType) *Node {
	rows := a.Rank() - 2
	switch {
	case !goForms(a):
		var batch []int
		if rows == 1 {
			batch = []int{0}
		}
		return Dot(a, b).WithAccumulatorDType(dtypes.InvalidDType).WithOutputDType(dtype).General([]int{rows}, batch, []int{rows}, batch)
	case a.Shape().Dim(-1) <= b.Shape().Dim(-1):
		return product(Transpose(a, -2, -1), b, rows+1, rows)
	}
	return Transpose(product(Transpose(b, -2, -1), a, rows+1, rows), -2, -1)
}

// productTransposed is a·bᵀ: [M,I] and [O,I] to [M,O], batched over the first axis if there are three. For a few rows the
// Go backend is quicker with the slow product than with the transposition.
func productTransposed(a, b *Node) *Node {
	const few = 4
	last := a.Rank() - 1
	if !goForms(a) || a.Shape().Dim(last-1) < few {
		return product(a, b, last, last)
	}
	return product(a, Transpose(b, -2, -1), last, last-1)
}
