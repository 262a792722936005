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
