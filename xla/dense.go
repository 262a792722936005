package xla

import (
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
)

// Dense is x·W over the last axis of x: […,I] and [I,O] to […,O], in the dtype of both. Its gradient's products take
// operands of that dtype; GoMLX's own would turn those of bfloat16 into float32.
func Dense(x, wIO *Node) *Node {
	switch {
	case goForms(x):
		return dense.Call(x, wIO)[0]
	case x.DType().Size() < dtypes.Float32.Size():
		return halfDense.Call(x, wIO)[0]
	}
	return contract(x, -1, wIO, 0, x.DType())
}

// contract sums over an axis of each of two tensors, adding up in float32 at least.
func contract(x *Node, xAxis int, y *Node, yAxis int, output dtypes.DType) *Node {
	product := Dot(x, y).WithAccumulatorDType(dtypes.InvalidDType).WithOutputDType(output)
	return product.General([]int{xAxis}, nil, []int{yAxis}, nil)
}

// halfDense is Dense in 16 bits. dW leaves its product in float32, for the sum over passes and the optimizer: that it is
// rounded first is taken back by XLA, which drops a rounding whose result is widened at once.
var halfDense = &Operation{
	Name: "half_dense",
	Definition: func(inputs []*Node) []*Node {
		return []*Node{contract(inputs[0], -1, inputs[1], 0, inputs[0].DType())}
	},
	Gradient: func(inputs, _, adjoints []*Node) []*Node {
		x, w, dy := inputs[0], inputs[1], adjoints[0]
		dW := contract(flat(x), 0, flat(dy), 0, dtypes.Float32)
		return []*Node{contract(dy, -1, w, 1, x.DType()), ConvertDType(dW, w.DType())}
	},
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
