package models_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/stretchr/testify/require"

	"tandem/models"
	"tandem/tests/testkit"
)

// attentionOf is the attention of tokens in a small model; the weights of layer perturbed, if there is one, are larger.
func attentionOf(t *testing.T, model *models.Model, perturbed int, tokens ...int32) [][]float64 {
	t.Helper()
	random := rand.New(rand.NewPCG(5, 6))
	var inputs []*tensors.Tensor
	for _, weight := range model.Weights() { // none is zero, as output projections are at first
		inputs = append(inputs, testkit.Float(testkit.Random(random, testkit.Size(weight.Shape...), 0.3), weight.Shape...))
	}
	inputs = append(inputs, testkit.Int(tokens, 1, len(tokens)))
	return testkit.Run(t, testkit.Device(t), inputs, func(nodes []*graph.Node) []*graph.Node {
		last := len(nodes) - 1
		for i, weight := range model.Weights() {
			if strings.HasPrefix(weight.Name, fmt.Sprintf("blocks.%02d.", perturbed)) {
				nodes[i] = graph.MulScalar(nodes[i], 1.5)
			}
		}
		return model.Attention(dtypes.Float32, nodes[:last], nodes[last])
	})
}

func TestAttentionIsThatOfEachLayerAfterTheOnesBefore(t *testing.T) {
	model := build(t, "T M T", models.Config{Width: 16, Vocab: 32, Context: 8})
	require.Equal(t, []int{0, 2}, model.AttentionLayers())
	require.Empty(t, build(t, "M2", models.Config{Width: 16, Vocab: 32}).AttentionLayers())
	const time = 5
	plain := attentionOf(t, model, -1, 1, 2, 3, 4, 5)
	require.Len(t, plain, 2)
	for layer, weights := range plain {
		require.Len(t, weights, time*time)
		for at := range time {
			sum := 0.0
			for s, weight := range weights[at*time : (at+1)*time] {
				if sum += weight; s > at {
					require.Zero(t, weight, "layer %d: token %d sees a later one", layer, at)
				}
			}
			require.InDelta(t, 1, sum, 1e-5)
		}
	}
	mamba := attentionOf(t, model, 1, 1, 2, 3, 4, 5)
	require.Equal(t, plain[0], mamba[0], "what comes after a layer does not change it")
	require.NotEqual(t, plain[1], mamba[1], "what comes before does")
	later := attentionOf(t, model, -1, 1, 2, 3, 4, 9)
	testkit.Close(t, "earlier tokens", plain[1][:4*time], later[1][:4*time], 1e-6)
	require.NotEqual(t, plain[1][4*time:], later[1][4*time:])
}
