package train

import (
	"testing"

	"github.com/stretchr/testify/require"

	"tandem/models"
)

func TestTooLittleMemoryIsToldWithWhatFits(t *testing.T) {
	pattern, err := models.ParsePattern("T20")
	require.NoError(t, err)
	model, err := models.New(models.Config{Pattern: pattern, Width: 1280, Vocab: 65536, Context: 2048})
	require.NoError(t, err)
	training := Options{Batch: 96}.Memory(model)
	for gib, want := range map[float64]string{
		125.8: "of the 125.80 GiB that can be had a batch of 81 fits by prediction, or 474 with checkpoint 1; make up for it with accumulate",
		9:     "of the 9.00 GiB that can be had not even one row fits, but with checkpoint 1 a batch of 1; make up for it with accumulate",
		4:     "of the 4.00 GiB that can be had not even one row fits, with checkpoint 1 either; use a smaller context, vocabulary or model",
	} {
		require.Equal(t, want, fitting(model, training, int64(gib*(1<<30))))
	}
}

// The numbers are the peaks of whole steps in docs/benchmarks/h200.md that were measured with today's loss. M26 is 6.7 % off.
func TestTheStepsPredictionIsNearThePeaksMeasuredOnAnH200(t *testing.T) {
	for _, c := range []struct {
		pattern                           string
		width, batch, context, checkpoint int
		gib                               float64
	}{
		{"T16", 1024, 8, 1024, 0, 9.08}, {"(TM)8", 1024, 8, 1024, 0, 8.01}, {"T20", 1280, 4, 1024, 0, 9.54},
		{"T20", 1280, 8, 2048, 1, 9.34}, {"M20", 1280, 8, 2048, 1, 7.50}, {"M26", 1664, 16, 2048, 1, 13.06},
	} {
		pattern, err := models.ParsePattern(c.pattern)
		require.NoError(t, err)
		model, err := models.New(models.Config{Pattern: pattern, Width: c.width, Vocab: 65536, Context: c.context})
		require.NoError(t, err)
		predicted := model.TrainingMemory(Options{Batch: c.batch, Checkpoint: c.checkpoint}.Memory(model))
		require.InEpsilon(t, c.gib, float64(predicted.Bytes)/(1<<30), 0.07, c.pattern)
	}
}
