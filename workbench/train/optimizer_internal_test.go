package train

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/stretchr/testify/require"

	"tandem/blocks"
	"tandem/models"
	"tandem/tests/testkit"
)

func TestAWeightsRateIsAShareOfItsGroups(t *testing.T) {
	pattern, err := models.ParsePattern("T M")
	require.NoError(t, err)
	model, err := models.New(models.Config{
		Pattern: pattern, Width: 768, Vocab: 512, Context: 16, Blocks: blocks.Configs{"mamba": &blocks.Mamba{LR: 0.25}},
	})
	require.NoError(t, err)
	o := &optimizer{options: Options{Batch: 1, Steps: 1, MatrixLR: 0.04, ScalarLR: 0.003}.Resolved(), weights: model.Weights(), width: 768}
	found := map[string]float64{}
	for _, weight := range o.weights {
		found[weight.Name] = o.learningRate(weight)
	}
	for name, want := range map[string]float64{
		"blocks.00.attention.query": 0.04, "blocks.00.mlp.up": 0.04 * 2, "blocks.00.mlp.down": 0.04,
		"blocks.01.mamba.out": 0.01, "blocks.01.mamba.in_u": 0.01 * math.Sqrt2, "blocks.01.mamba.dt_bias": 0.003,
	} {
		require.InDelta(t, want, found[name], 1e-12, name)
	}
}

func TestTheGradientsNormIsThatOfALargeModelToo(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	matrix, vector := testkit.Random(random, 1<<20, 1e-3), testkit.Random(random, 100, 1e-3)
	var sum float64
	for _, value := range append(matrix[:len(matrix):len(matrix)], vector...) {
		sum += value * value
	}
	inputs := []*tensors.Tensor{testkit.Float(matrix, 4096, 256), testkit.Float(vector, 100)}
	got := testkit.Run(t, testkit.Device(t), inputs, func(n []*graph.Node) []*graph.Node { return []*graph.Node{globalNorm(n)} })
	require.InEpsilon(t, math.Sqrt(sum), got[0][0], 1e-6)
}
