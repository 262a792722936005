package xla

import (
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
)

// Dense is x·W over the last axis of x: […,I] and [I,O] to […,O], in the dtype of both. Its gradient's products stay in
// that dtype; GoMLX's default would turn those of bfloat16 into float32.
func Dense(x, wIO *Node) *Node {
	if !goForms(x) {
		return Dot(x, wIO).WithAccumulatorDType(dtypes.InvalidDType).General([]int{-1}, nil, []int{0}, nil)
	}
	return dense.Call(x, wIO)[0]
}

// dense differs from a plain product in the forms of its gradient, dx = dy·Wᵀ and dW = xᵀ·dy.
var dense = &Operation{
	Name: "dense",
	Definition: func(inputs []*Node) []*Node {
		x, w := inputs[0], inputs[1]
		return []*Node{Reshape(product(flat(x), w, 1, 0), withLast(x, w.Shape().Dim(1))...)}
	},
	Gradient: func(inputs, _, adjoints []*Node) []*Node {
		return denseGradient.Call(inputs[0], inputs[1], adjoints[0])
	},
}

// denseGradient takes x, W and dy to dx and dW.
var denseGradient = &Operation{
	Name: "dense_gradient",
	Definition: func(inputs []*Node) []*Node {
		x, w, dy := inputs[0], inputs[1], inputs[2]
		dx := productTransposed(flat(dy), w)
		return []*Node{Reshape(dx, x.Shape().Dimensions...), transposedProduct(flat(x), flat(dy), w.DType())}
	},
}

// flat is x as rows: […,I] to [M,I].
func flat(x *Node) *Node { return Reshape(x, -1, x.Shape().Dim(-1)) }

// withLast is x's dimensions with another size of the last axis.
func withLast(x *Node, size int) []int {
	dims := append([]int{}, x.Shape().Dimensions...)
	dims[len(dims)-1] = size
	return dims
}
