package models_test

import (
	"fmt"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/stretchr/testify/require"

	"tandem/blocks"
	"tandem/models"
)

// step is a training whose optimizer keeps two tensors a weight.
func step(model *models.Model, batch int) models.Training {
	all := int64(model.Parameters())
	return models.Training{Batch: batch, Accumulate: 1, Update: true, OptimizerBytes: 8 * all, UpdateBytes: 2 * all}
}

const gib = 1 << 30

// The numbers are XLA's plans of forward and backward in docs/benchmarks/h200.md. For a pass alone with checkpoints
// we predict up to 18 % more than XLA plans, we do not know why; whole steps are held to 6 % by a test of train.
func TestThePredictionOfAPassIsNearWhatXLAPlannedOnAnH200(t *testing.T) {
	for _, c := range []struct {
		pattern                    string
		batch, context, checkpoint int
		gib, most                  float64
	}{
		{"T20", 16, 2048, 0, 28.90, 0.03}, {"M20", 16, 2048, 0, 19.36, 0.03}, {"T12 M8", 16, 2048, 0, 24.60, 0.03}, {"(TM)10", 16, 2048, 0, 24.43, 0.03},
		{"T20", 1, 32768, 0, 28.92, 0.03}, {"M20", 1, 32768, 0, 19.36, 0.03}, {"T20", 16, 2048, 1, 8.12, 0.10}, {"M20", 16, 2048, 1, 6.77, 0.13},
		{"T20", 16, 2048, 2, 8.03, 0.15}, {"M20", 16, 2048, 2, 6.42, 0.18}, {"T20", 16, 2048, 10, 16.15, 0.08}, {"M20", 16, 2048, 5, 9.01, 0.03},
	} {
		t.Run(fmt.Sprintf("%s %dx%d checkpoint %d", c.pattern, c.batch, c.context, c.checkpoint), func(t *testing.T) {
			model := build(t, c.pattern, models.Config{Vocab: 65536, Context: c.context})
			predicted := model.TrainingMemory(models.Training{Batch: c.batch, Checkpoint: c.checkpoint})
			require.InEpsilon(t, c.gib, float64(predicted.Bytes)/gib, c.most)
		})
	}
}

func TestThePredictedSpeedIsWhatWasMeasuredOnAnH200(t *testing.T) {
	h200, err := models.GPUByName("h200")
	require.NoError(t, err)
	for _, c := range []struct {
		pattern                    string
		batch, context, checkpoint int
		measured, within           float64
	}{
		{"T20", 16, 2048, 0, 165732, 0.01}, {"M20", 16, 2048, 0, 194451, 0.01}, {"T12 M8", 16, 2048, 0, 176240, 0.01}, {"(TM)10", 16, 2048, 0, 178218, 0.01},
		{"T20", 32, 1024, 0, 174949, 0.01}, {"M20", 32, 1024, 0, 195219, 0.01}, {"T20", 4, 8192, 0, 122502, 0.01}, {"M20", 4, 8192, 0, 175195, 0.05},
		{"T20", 2, 16384, 0, 91988, 0.05}, {"M20", 2, 16384, 0, 164617, 0.05}, {"(TM)10", 2, 16384, 0, 119231, 0.05},
		{"T20", 1, 32768, 0, 62227, 0.05}, {"M20", 1, 32768, 0, 170247, 0.05}, {"(TM)10", 1, 32768, 0, 91524, 0.05},
		{"T20", 16, 2048, 1, 138593, 0.03}, {"M20", 16, 2048, 1, 165824, 0.03},
	} {
		t.Run(fmt.Sprintf("%s %dx%d checkpoint %d", c.pattern, c.batch, c.context, c.checkpoint), func(t *testing.T) {
			model := build(t, c.pattern, models.Config{Vocab: 65536, Context: c.context})
			speed := model.Speed(models.Training{Batch: c.batch, Checkpoint: c.checkpoint}, h200)
			require.InEpsilon(t, c.measured, speed.TokensPerSecond, c.within)
		})
	}
}

func TestWeightsAndStatesAreCountedAsTheTensorsAre(t *testing.T) {
	for _, pattern := range []string{"T2", "M2", "(TM)2"} {
		t.Run(pattern, func(t *testing.T) {
			model := build(t, pattern, models.Config{Width: 32, Vocab: 70, Context: 24})
			var weights, state int64
			for i, values := range model.Init(1) {
				weights += tensors.FromFlatDataAndDimensions(values, model.Weights()[i].Shape...).ByteSize()
			}
			for _, declared := range model.State(3, 24, dtypes.BFloat16) {
				state += tensors.FromShape(shapes.Make(declared.DType, declared.Shape...)).ByteSize()
			}
			predicted := model.TrainingMemory(step(model, 2))
			require.EqualValues(t, weights, predicted.Peak.Weights)
			inference := model.InferenceMemory(3, 24)
			require.EqualValues(t, weights, inference.Weights)
			require.EqualValues(t, state, inference.State)
			line := model.StateLine()
			require.EqualValues(t, state, 3*(line.Fixed+24*line.PerToken))
		})
	}
}

func TestThePartsAreTheWholeAndEveryBlockIsListed(t *testing.T) {
	for _, checkpoint := range []int{0, 1, 3, 7} {
		model := build(t, "(TM)3", models.Config{Vocab: 300})
		training := step(model, 4)
		training.Checkpoint = checkpoint
		predicted := model.TrainingMemory(training)
		require.Equal(t, predicted.Bytes, predicted.Peak.Total())
		require.Len(t, predicted.Blocks, 6)
		require.Equal(t, []string{"block 5", "mamba"}, []string{predicted.Blocks[5].Name, predicted.Blocks[5].Kind})
		require.Contains(t, predicted.At, "the ")
	}
}

func TestMoreOfAnythingTakesMoreMemory(t *testing.T) {
	for _, pattern := range []string{"T4", "M4", "(TM)2"} {
		t.Run(pattern, func(t *testing.T) {
			bytes := func(pattern string, c models.Config, change func(*models.Training)) int64 {
				model := build(t, pattern, c)
				training := step(model, 4)
				change(&training)
				return model.TrainingMemory(training).Bytes
			}
			same := func(*models.Training) {}
			base := models.Config{Vocab: 4096, Context: 512}
			less := bytes(pattern, base, same)
			require.Less(t, less, bytes(pattern, base, func(t *models.Training) { t.Batch = 5 }), "batch")
			require.Less(t, less, bytes(pattern, models.Config{Vocab: 4096, Context: 544}, same), "context")
			require.Less(t, less, bytes(pattern, models.Config{Vocab: 4160, Context: 512}, same), "vocabulary")
			require.Less(t, less, bytes(pattern+" T M", base, same), "layers")
			require.Less(t, less, bytes(pattern, base, func(t *models.Training) { t.OptimizerBytes *= 2 }), "optimizer")
			require.LessOrEqual(t, less, bytes(pattern, base, func(t *models.Training) { t.Accumulate = 2 }), "passes")
		})
	}
}

func TestCheckpointsSaveMemory(t *testing.T) {
	for _, pattern := range []string{"T20", "M20", "T12 M8", "(TM)10"} {
		model := build(t, pattern, models.Config{Vocab: 65536})
		at := func(checkpoint int) int64 {
			return model.TrainingMemory(models.Training{Batch: 16, Checkpoint: checkpoint}).Bytes
		}
		require.Less(t, at(1), at(0)/2, pattern)
		require.Less(t, at(4), at(0), pattern)
		require.Less(t, at(1), at(10), pattern, "ten blocks at a time hold ten blocks' activations")
	}
}

func TestAttentionThatCuDNNCannotServeKeepsItsScores(t *testing.T) {
	at := func(headDim int) int64 {
		model := build(t, "T4", models.Config{Vocab: 300, Width: 512, Context: 1024, Blocks: blocks.Configs{"transformer": &blocks.Transformer{HeadDim: headDim}}})
		return model.TrainingMemory(models.Training{Batch: 8}).Bytes
	}
	require.Greater(t, at(256)-at(128), int64(4*8*2*1024*1024*4), "float32 weights of 4 blocks, 8 rows, 2 heads")
}
