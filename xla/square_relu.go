package xla

import . "github.com/gomlx/gomlx/core/graph"

// SquareReLU is max(x, 0)² (So et al. 2021, arXiv:2109.08668, section 3.1) in the dtype of x; its derivative is
// 2·max(x, 0).
func SquareReLU(x *Node) *Node { return squareReLU.Call(x)[0] }

var squareReLU = &Operation{
	Name: "square_relu",
	Definition: func(inputs []*Node) []*Node {
		positive := relu(inputs[0])
		return []*Node{Mul(positive, positive)}
	},
	Gradient: func(inputs, _, adjoints []*Node) []*Node {
		return squareReLUGradient.Call(inputs[0], adjoints[0])
	},
}

var squareReLUGradient = &Operation{
	Name: "square_relu_gradient",
	Definition: func(inputs []*Node) []*Node {
		two := Const(inputs[0].Graph(), float32(2))
		slope := Mul(relu(inputs[0]), ConvertDType(two, inputs[0].DType()))
		return []*Node{Mul(inputs[1], slope)}
	},
}

func relu(x *Node) *Node { return Max(x, ConvertDType(constant(x, 0), x.DType())) }
