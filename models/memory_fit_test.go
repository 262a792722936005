package models_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"tandem/models"
)

func TestTheLargestBatchFitsAndOneMoreDoesNot(t *testing.T) {
	for _, name := range []string{"rtx3060", "rtx4090", "h200"} {
		gpu, err := models.GPUByName(name)
		require.NoError(t, err)
		for _, pattern := range []string{"T12", "M12", "(TM)6"} {
			for _, checkpoint := range []int{0, 1} {
				t.Run(fmt.Sprintf("%s on %s, checkpoint %d", pattern, name, checkpoint), func(t *testing.T) {
					model := build(t, pattern, models.Config{Vocab: 32768, Context: 1024})
					training := step(model, 1)
					training.Checkpoint = checkpoint
					most := model.LargestBatch(training, gpu.Available())
					require.Positive(t, most)
					training.Batch = most
					require.LessOrEqual(t, model.TrainingMemory(training).Bytes, gpu.Available())
					training.Batch = most + 1
					require.Greater(t, model.TrainingMemory(training).Bytes, gpu.Available())

					rows := model.LargestRows(1024, gpu.Available())
					require.LessOrEqual(t, model.InferenceMemory(rows, 1024).Total(), gpu.Available())
					require.Greater(t, model.InferenceMemory(rows+1, 1024).Total(), gpu.Available())
				})
			}
		}
	}
}

func TestNothingFitsWhereTheWeightsDoNot(t *testing.T) {
	model := build(t, "T40", models.Config{Vocab: 65536})
	gpu, err := models.GPUByName("rtx3070")
	require.NoError(t, err)
	require.Zero(t, model.LargestBatch(step(model, 1), gpu.Available()))
	require.Equal(t, []models.Setting{}, model.Settings(step(model, 8), gpu), "no null in JSON")
	smallest, ok := models.SmallestGPU(model.TrainingMemory(step(model, 1)).Bytes)
	require.True(t, ok)
	require.Greater(t, smallest.MemoryMiB, gpu.MemoryMiB)
	_, ok = models.SmallestGPU(1 << 50)
	require.False(t, ok)
}

func TestNoRowFitsWhereOneTakesTerabytes(t *testing.T) {
	model := build(t, "T20", models.Config{Vocab: 65536, Context: 1 << 30})
	h200, err := models.GPUByName("h200")
	require.NoError(t, err)
	require.Greater(t, model.InferenceMemory(1, 1<<30).Total(), int64(100<<40))
	require.Zero(t, model.LargestRows(1<<30, h200.Available()))
	require.Zero(t, model.LargestBatch(step(model, 1), h200.Available()))
}

func TestSettingsKeepTheRowsOfAStepAndFit(t *testing.T) {
	model := build(t, "T12 M4", models.Config{Vocab: 32768})
	for _, name := range []string{"rtx3060", "rtx4090", "b200"} {
		gpu, err := models.GPUByName(name)
		require.NoError(t, err)
		training := step(model, 32)
		training.Accumulate = 3
		settings := model.Settings(training, gpu)
		require.NotEmpty(t, settings, name)
		for i, s := range settings {
			require.Equal(t, 96, s.Batch*s.Accumulate)
			require.LessOrEqual(t, s.Bytes, gpu.Available())
			same := training
			same.Batch, same.Accumulate, same.Checkpoint = s.Batch, s.Accumulate, s.Checkpoint
			require.Equal(t, model.TrainingMemory(same).Bytes, s.Bytes)
			if i > 0 {
				require.LessOrEqual(t, s.TokensPerSecond, settings[i-1].TokensPerSecond)
			}
		}
	}
}
