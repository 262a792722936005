package blocks

import (
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"

	"tandem/xla"
)

// NormEpsilon keeps RMSNorm finite at zero.
const NormEpsilon = 1e-6

// Norm is RMSNorm without parameters over the last axis.
func Norm(x *Node) *Node { return xla.RMSNorm(x, NormEpsilon) }

// normBeside is Norm at the head of a residual branch, and x for the stream beside it. If x is the sum that ended the
// block before, sum and norm are one pass.
func normBeside(x *Node) (normed, stream *Node) {
	if x.Type() == NodeTypeAdd {
		return xla.AddRMSNorm(x.Inputs()[0], x.Inputs()[1], NormEpsilon)
	}
	return xla.RMSNormBeside(x, NormEpsilon)
}

// dense is x·W over the last axis of x.
func dense(x, wIO *Node) *Node { return xla.Dense(x, wIO) }

// silu is x·σ(x).
func silu(x *Node) *Node { return Mul(x, Logistic(x)) }

// MLPRatio is the default width of an MLP's hidden layer over the model's width.
const MLPRatio = 4

// mlpWeights declares the ReLU² MLP: up is drawn as every input projection, down is zero, so that the block starts as
// the identity.
func mlpWeights(width, hidden int) []Weight {
	return []Weight{
		matrix("mlp.up", width, hidden, Uniform(inputBound(width))),
		matrix("mlp.down", hidden, width, Zero()),
	}
}

// addMLP ends a residual branch and adds an MLP: x + mlp(norm x) of x = stream + branch, where
// mlp(x) = max(x·W_up, 0)²·W_down (So et al. 2021, arXiv:2109.08668, section 3.1).
func addMLP(weights Params, streamBTD, branchBTD *Node) *Node {
	normed, streamBTD := xla.AddRMSNorm(streamBTD, branchBTD, NormEpsilon)
	return Add(streamBTD, dense(xla.SquareReLU(dense(normed, weights["mlp.up"])), weights["mlp.down"]))
}

// addProduct is x + y·W for one token a row.
func addProduct(xB1D, y, w *Node) *Node {
	return xla.Products(y, xla.ProductOptions{Residual: xB1D}, w)[0]
}

// stepMLP is x + mlp(norm x) for one token a row.
func stepMLP(weights Params, xB1D *Node) *Node {
	hidden := xla.Products(xB1D, xla.ProductOptions{NormEpsilon: NormEpsilon, SquareReLU: true}, weights["mlp.up"])[0]
	return addProduct(xB1D, hidden, weights["mlp.down"])
}

// mlpWorkspace is the bytes a token that the backward pass of a residual branch and its MLP holds at its peak: three
// gradients of the hidden layer and four of the width, which is what XLA was measured to plan.
func mlpWorkspace(width, hidden float64) float64 { return 2 * (4*width + 3*hidden) }

// matrix declares a weight of the Matrix group, stored [in, out].
func matrix(name string, in, out int, init Distribution) Weight {
	return Weight{Name: name, Shape: []int{in, out}, Init: init, Group: GroupMatrix, DType: dtypes.Float32}
}

// vector declares a weight that stays float32 in the graph.
func vector(name string, group Group, init Distribution, shape ...int) Weight {
	return Weight{Name: name, Shape: shape, Init: init, Group: group, DType: dtypes.Float32}
}
