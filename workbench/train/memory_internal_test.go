package train

import (
	"os"
	"regexp"
	"strconv"
	"strings"
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

// measured is a row of the benchmarks' table of memory: pattern, batch × context, checkpoint, limit, and in GiB what was
// predicted, planned and used.
var measured = regexp.MustCompile(`(?m)^\| (.+?)[²⁴⁵⁶] \| (\d+) × (\d+) \| (off|\d+) \| [^|]+ \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|`)

func TestTheStepsPredictionIsNearWhatWasPlannedAndUsedOnAnH200(t *testing.T) {
	text, err := os.ReadFile("../../docs/benchmarks/h200.md")
	require.NoError(t, err)
	rows := measured.FindAllStringSubmatch(string(text), -1)
	require.Len(t, rows, 36)
	for _, row := range rows {
		number := func(column int) float64 {
			value, err := strconv.ParseFloat(strings.Replace(row[column], "off", "0", 1), 64)
			require.NoError(t, err, row[0])
			return value
		}
		pattern, err := models.ParsePattern(row[1])
		require.NoError(t, err)
		model, err := models.New(models.Config{Pattern: pattern, Width: 64 * len(pattern), Vocab: 65536, Context: int(number(3))})
		require.NoError(t, err)
		training := Options{Batch: int(number(2)), Checkpoint: int(number(4))}.Memory(model)
		predicted := float64(model.TrainingMemory(training).Bytes) / (1 << 30)
		require.InDelta(t, number(5), predicted, 0.0051, "the table is of another prediction: %s", row[0])
		require.InEpsilon(t, number(6), predicted, 0.06, "planned: %s", row[0])
		require.InEpsilon(t, number(7), predicted, 0.06, "used: %s", row[0])
	}
}
