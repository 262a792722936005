package models_test

import (
	"math/rand/v2"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/stretchr/testify/require"

	"tandem/models"
	"tandem/tests/testkit"
)

// sharedGradients builds a loss over two rows, one target ignored, and gives it with the gradient of every weight.
func sharedGradients(t testing.TB, model *models.Model, shares []float64, loss func(weights []*graph.Node, tokens, targets, shares *graph.Node) *graph.Node) [][]float64 {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	var inputs []*tensors.Tensor
	for i, values := range model.Init(1) { // some start at zero, which would hide much
		for at, noise := range testkit.Random(random, len(values), 0.1) {
			values[at] += float32(noise)
		}
		inputs = append(inputs, tensors.FromFlatDataAndDimensions(values, model.Weights()[i].Shape...))
	}
	inputs = append(inputs, testkit.Int([]int32{1, 2, 3, 4, 9, 8, 7, 6}, 2, 4), testkit.Int([]int32{2, 3, 31, -1, 8, 7, 6, 5}, 2, 4), testkit.Float(shares, 2, 4))
	return testkit.Run(t, testkit.Device(t), inputs, func(nodes []*graph.Node) []*graph.Node {
		count := len(model.Weights())
		total := loss(nodes[:count], nodes[count], nodes[count+1], nodes[count+2])
		return append(graph.Gradient(total, nodes[:count]...), total)
	})
}

func TestSharesWeighTheLossAndItsGradient(t *testing.T) {
	model := build(t, "TM", models.Config{Width: 16, Vocab: 32, Context: 4})
	compare := func(t *testing.T, want, got [][]float64) {
		for i, weight := range model.Weights() {
			testkit.Close(t, weight.Name, want[i], got[i], testkit.Tolerances[dtypes.Float32].Gradient)
		}
		testkit.Close(t, "loss", want[len(want)-1], got[len(got)-1], testkit.Tolerances[dtypes.Float32].Forward)
	}
	shared := func(weights []*graph.Node, tokens, targets, shares *graph.Node) *graph.Node {
		total, _ := model.SharedLoss(dtypes.Float32, weights, tokens, targets, nil, shares, 0)
		return total
	}
	t.Run("equal shares are the mean", func(t *testing.T) {
		equal := []float64{1. / 7, 1. / 7, 1. / 7, 5, 1. / 7, 1. / 7, 1. / 7, 1. / 7}
		mean := sharedGradients(t, model, equal, func(weights []*graph.Node, tokens, targets, _ *graph.Node) *graph.Node {
			mean, _ := model.Loss(dtypes.Float32, weights, tokens, targets, nil, 0)
			return mean
		})
		compare(t, mean, sharedGradients(t, model, equal, shared))
	})
	t.Run("shares of both signs are those of log-probabilities by another route", func(t *testing.T) {
		shares := []float64{0.5, -2, 0, 3, 1, -0.25, 0.125, -1}
		plain := sharedGradients(t, model, shares, func(weights []*graph.Node, tokens, targets, shares *graph.Node) *graph.Node {
			logits := model.Forward(dtypes.Float32, weights, tokens, nil)
			hot := graph.OneHot(graph.MaxScalar(targets, 0), 32, dtypes.Float32)
			real := graph.ConvertDType(graph.GreaterOrEqual(targets, graph.ZerosLike(targets)), dtypes.Float32)
			nats := graph.Neg(graph.ReduceSum(graph.Mul(graph.LogSoftmax(logits, -1), hot), -1))
			return graph.ReduceAllSum(graph.Mul(graph.Mul(nats, real), shares))
		})
		compare(t, plain, sharedGradients(t, model, shares, shared))
		require.NotZero(t, plain[len(plain)-1][0])
	})
}
