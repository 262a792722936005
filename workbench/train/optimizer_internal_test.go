package train

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"tandem/blocks"
	"tandem/models"
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
