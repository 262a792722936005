package train_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"tandem/models"
	"tandem/tests/testkit"
	"tandem/workbench/train"
)

func TestTheOptimizersBytesAreThoseOfItsTensors(t *testing.T) {
	device := testkit.Device(t)
	pattern, err := models.ParsePattern("T M")
	require.NoError(t, err)
	model, err := models.New(models.Config{Pattern: pattern, Width: 32, Vocab: 300, Context: 16})
	require.NoError(t, err)
	options := train.Options{Batch: 1, Steps: 1}
	trainer, err := train.New(device, model, options)
	require.NoError(t, err)
	defer trainer.Close()
	snapshot, err := trainer.Snapshot(nil)
	require.NoError(t, err)
	var bytes int
	for _, tensor := range snapshot.Optimizer {
		if tensor.Name != "guard" && tensor.Name != "step" {
			bytes += len(tensor.Data)
		}
	}
	memory := options.Memory(model)
	require.EqualValues(t, bytes, memory.OptimizerBytes)
	require.Positive(t, memory.UpdateBytes)
	require.Equal(t, 1, memory.Accumulate)

	_, err = trainer.PlannedMemory()
	if device.Kind == "go" {
		require.ErrorContains(t, err, "only XLA plans it")
		return
	}
	require.NoError(t, err)
}
