package xla

import (
	"fmt"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
)

// RMSNorm is x·s with s = 1/√(mean(x²) + ε) over the last axis, without parameters (Zhang & Sennrich 2019,
// arXiv:1910.07467, eq. 4), computed in float32 and returned in the dtype of x. Backward needs the output and one number
// a row: dx = s·(dy - y·mean(dy·y)).
func RMSNorm(x *Node, epsilon float64) *Node {
	y, _ := RMSNormBeside(x, epsilon)
	return y
}

// RMSNormBeside is RMSNorm at the head of a residual branch: it also returns x, for the stream that the branch is added to.
// Taken from here, the gradients of stream and branch are added while that of the norm is computed.
func RMSNormBeside(x *Node, epsilon float64) (y, stream *Node) {
	outputs := rmsNorm(epsilon).Call(x)
	return outputs[0], outputs[2]
}

func rmsNorm(epsilon float64) *Operation {
	return &Operation{
		Name:    "rms_norm",
		Options: fmt.Sprintf("_eps%g", epsilon),
		Kernel:  rmsNormKernel(epsilon),
		Definition: func(inputs []*Node) []*Node {
			x32 := ConvertDType(inputs[0], dtypes.Float32)
			scale := inverseRMS(x32, epsilon)
			return []*Node{ConvertDType(Mul(x32, scale), inputs[0].DType()), scale, inputs[0]}
		},
		Gradient: func(_, outputs, adjoints []*Node) []*Node {
			return rmsNormGradient.Call(outputs[0], outputs[1], adjoints[0], adjoints[2])
		},
	}
}

// AddRMSNorm is RMSNormBeside of x + a: the end of one residual branch and the head of the next in one pass.
func AddRMSNorm(x, a *Node, epsilon float64) (y, stream *Node) {
	outputs := addRMSNorm(epsilon).Call(x, a)
	return outputs[0], outputs[2]
}

func addRMSNorm(epsilon float64) *Operation {
	return &Operation{
		Name:    "add_rms_norm",
		Options: fmt.Sprintf("_eps%g", epsilon),
		Kernel:  addRMSNormKernel(epsilon),
		Definition: func(inputs []*Node) []*Node {
			return rmsNorm(epsilon).Definition([]*Node{Add(inputs[0], inputs[1])})
		},
		Gradient: func(_, outputs, adjoints []*Node) []*Node {
			dx := rmsNormGradient.Call(outputs[0], outputs[1], adjoints[0], adjoints[2])[0]
			return []*Node{dx, dx}
		},
	}
}

// rmsNormGradient takes y, s, dy and the stream's gradient to dx.
var rmsNormGradient = &Operation{
	Name:   "rms_norm_gradient",
	Kernel: rmsNormGradientKernel,
	Definition: func(inputs []*Node) []*Node {
		dx := normBackward(ConvertDType(inputs[0], dtypes.Float32), inputs[1], ConvertDType(inputs[2], dtypes.Float32))
		return []*Node{ConvertDType(Add(dx, ConvertDType(inputs[3], dtypes.Float32)), inputs[0].DType())}
	},
}

// inverseRMS is 1/√(mean(x²) + ε) over the last axis, which stays with length 1.
func inverseRMS(x32 *Node, epsilon float64) *Node {
	sum := SumLast(Mul(x32, x32))
	mean := Mul(sum, constant(x32, 1/float32(x32.Shape().Dim(-1))))
	return Rsqrt(Add(mean, constant(x32, float32(epsilon))))
}

// normBackward is s·(dy - y·mean(dy·y)), in float32.
func normBackward(y, scale, dy *Node) *Node {
	mean := Mul(SumLast(Mul(dy, y)), constant(y, 1/float32(y.Shape().Dim(-1))))
	return Mul(scale, Sub(dy, Mul(y, mean)))
}

// RotaryNorm turns x [B,T,H,E] by RoPE's angles (Su et al. 2021, arXiv:2104.09864) and applies RMSNorm over E: what
// queries and keys go through. Channel j is paired with j+E/2; cos and sin are float32 [B or 1, T, 1, E/2].
func RotaryNorm(xBTHE, cos, sin *Node, epsilon float64) *Node {
	return rotaryNorm(epsilon).Call(xBTHE, cos, sin)[0]
}

func rotaryNorm(epsilon float64) *Operation {
	return &Operation{
		Name:    "rotary_norm",
		Options: fmt.Sprintf("_eps%g", epsilon),
		Kernel:  rotaryNormKernel(epsilon),
		Definition: func(inputs []*Node) []*Node {
			x32 := ConvertDType(inputs[0], dtypes.Float32)
			scale := inverseRMS(x32, epsilon) // a rotation keeps the length
			turned := rotate(x32, inputs[1], inputs[2])
			return []*Node{ConvertDType(Mul(turned, scale), inputs[0].DType()), scale}
		},
		Gradient: func(inputs, outputs, adjoints []*Node) []*Node {
			dx := rotaryNormGradient.Call(outputs[0], outputs[1], adjoints[0], inputs[1], inputs[2])
			return []*Node{dx[0], nil, nil}
		},
	}
}

// rotaryNormGradient takes y, s, dy, cos and sin to dx: the norm's gradient turned back.
var rotaryNormGradient = &Operation{
	Name:   "rotary_norm_gradient",
	Kernel: rotaryNormGradientKernel,
	Definition: func(inputs []*Node) []*Node {
		dTurned := normBackward(ConvertDType(inputs[0], dtypes.Float32), inputs[1], ConvertDType(inputs[2], dtypes.Float32))
		return []*Node{ConvertDType(rotate(dTurned, inputs[3], Neg(inputs[4])), inputs[0].DType())}
	},
}

// rotate turns each pair of channels: (x₁cos + x₂sin, x₂cos - x₁sin), as x·(cos, cos) + (x₂, x₁)·(sin, -sin).
func rotate(xBTHE, cos, sin *Node) *Node {
	dims := xBTHE.Shape().Dimensions
	half := dims[3] / 2
	swapped := Concatenate([]*Node{SliceAxis(xBTHE, -1, AxisRange(half)), SliceAxis(xBTHE, -1, AxisRange(0, half))}, -1)
	whole := func(first, second *Node) *Node {
		table := repeat(Concatenate([]*Node{first, second}, -1), 2, dims[2])
		if first.Shape().Dim(0) < dims[0] {
			return repeat(table, 0, dims[0])
		}
		return table
	}
	return Add(Mul(xBTHE, whole(cos, cos)), Mul(swapped, whole(sin, Neg(sin))))
}
