package train_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"tandem/tests/testkit"
	"tandem/workbench/train"
)

func TestASpikeInTheLossIsSkippedAndARippleIsNot(t *testing.T) {
	made := trainer(t, testkit.Device(t), train.Options{Steps: 100, SpikeLimit: 6})
	wrong := drawn(0)
	for i := range wrong.Targets {
		wrong.Targets[i] = (wrong.Targets[i] + 7) % vocab
	}
	for i := range 90 {
		b := drawn(i)
		if i == 80 {
			b = wrong
		}
		require.NoError(t, made.Step([]train.Batch{b}))
	}
	metrics, err := made.Flush()
	require.NoError(t, err)
	for _, m := range metrics {
		require.Equal(t, m.Step == 80, m.Skipped, "step %d, loss %g", m.Step, m.Loss)
	}
}

func TestAJumpThatStaysIsOtherDataAndSoonAccepted(t *testing.T) {
	made := trainer(t, testkit.Device(t), train.Options{Steps: 200, SpikeLimit: 6})
	for i := range 130 {
		b := drawn(i)
		if i >= 80 {
			for j := range b.Targets {
				b.Targets[j] = (b.Targets[j] + 7) % vocab
			}
		}
		require.NoError(t, made.Step([]train.Batch{b}))
	}
	metrics, err := made.Flush()
	require.NoError(t, err)
	require.True(t, metrics[80].Skipped, "loss %g after %g", metrics[80].Loss, metrics[79].Loss)
	worst := 0
	for _, m := range metrics {
		worst = max(worst, m.InRow)
	}
	require.Less(t, worst, train.Options{}.Resolved().SkipLimit)
	require.False(t, metrics[129].Skipped)
	require.Less(t, metrics[129].Loss, metrics[80].Loss, "it learns the other data")
}
