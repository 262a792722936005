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

// normBeside is Norm at the head of a residual branch, and x for the stream beside it.
func normBeside(x *Node) (normed, stream *Node) { return xla.RMSNormBeside(x, NormEpsilon) }

// dense is x·W over the last axis of x.
func dense(x, wIO *Node) *Node { return xla.Dense(x, wIO) }

// silu is x·σ(x).
func silu(x *Node) *Node { return Mul(x, Logistic(x)) }

// softplus is ln(1 + exp(x)), exact for any x: max(x, 0) + ln(1 + exp(-|x|)).
func softplus(x *Node) *Node { return Add(MaxScalar(x, 0), Log1P(Exp(Neg(Abs(x))))) }

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

// matrix declares a weight of the Matrix group, stored [in, out].
func matrix(name string, in, out int, init Distribution) Weight {
	return Weight{Name: name, Shape: []int{in, out}, Init: init, Group: GroupMatrix, DType: dtypes.Float32}
}

// vector declares a weight that stays float32 in the graph.
func vector(name string, group Group, init Distribution, shape ...int) Weight {
	return Weight{Name: name, Shape: shape, Init: init, Group: group, DType: dtypes.Float32}
}
