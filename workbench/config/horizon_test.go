package config_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"tandem/models"
	"tandem/workbench/config"
)

// nanochat prints these for its own models; ours lack their few gate weights.
func TestTheHorizonOfTransformersIsNanochats(t *testing.T) {
	for _, want := range []struct {
		depth, batch, steps int
		ratio, decay        float64
	}{
		{4, 1 << 18, 527, 12, 1.89},
		{12, 1 << 19, 2520, 12, 0.28},
		{20, 1 << 20, 4980, 12, 0.1002},
		{24, 1 << 20, 8352, 12, 0.0597},
		{24, 1 << 20, 5568, 8, 0.0597},
		{32, 1 << 21, 9600, 12, 0.0367},
	} {
		h, err := config.NewHorizon(models.Config{Pattern: models.AllTransformer(want.depth), Vocab: 32768}, want.ratio, 0)
		require.NoError(t, err)
		require.Equal(t, want.batch, h.BatchTokens, "depth %d", want.depth)
		steps := int(h.Tokens) / h.BatchTokens
		require.InDelta(t, want.steps, steps, 2, "depth %d", want.depth)
		scale := config.LRScale(h.BatchTokens)
		require.InDelta(t, math.Sqrt(float64(h.BatchTokens)/(1<<19)), scale, 1e-12)
		require.InEpsilon(t, want.decay, h.WeightDecay(steps, scale), 0.005, "depth %d", want.depth)
	}
}

func TestTheReferenceOfAHybridKeepsItsKinds(t *testing.T) {
	alternating, err := config.NewHorizon(models.Config{Pattern: "TMTM", Vocab: 2048}, 8, 0)
	require.NoError(t, err)
	halves, err := config.NewHorizon(models.Config{Pattern: "TTTTTTMMMMMM", Vocab: 2048}, 8, 0)
	require.NoError(t, err)
	require.Equal(t, halves.Scaling, alternating.Reference)
	require.Equal(t, halves.Scaling, halves.Reference)
}

func TestAShortHorizonTakesSmallStepsAndKeepsItsRates(t *testing.T) {
	c, err := config.Load("tiny", nil)
	require.NoError(t, err)
	h, err := config.NewHorizon(c.Model, 0, 600_000)
	require.NoError(t, err)
	require.EqualValues(t, 600_000, h.Tokens)
	require.Equal(t, 1024, h.BatchTokens)
	require.InDelta(t, math.Sqrt(0.5), config.LRScale(h.BatchTokens), 1e-12)
	require.Less(t, h.WeightDecay(585, config.LRScale(1024)), 1.0)
	require.Equal(t, h.WeightDecay(500, 1), h.WeightDecay(2, 1), "a step of a short training decays no more than one of 500")
}

func TestARatioThatCannotBeIsRefused(t *testing.T) {
	for _, ratio := range []float64{-1, math.NaN(), math.Inf(1)} {
		_, err := config.NewHorizon(models.Config{Pattern: "T", Vocab: 300}, ratio, 0)
		require.ErrorContains(t, err, "ratio")
	}
}
