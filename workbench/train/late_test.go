package train_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tandem/tests/testkit"
	"tandem/workbench/runlog"
	"tandem/workbench/train"
	"tandem/xla"
)

func TestAStepsTimeIsUntilTheDeviceHasDoneIt(t *testing.T) {
	const steps, one = 5, 20 * time.Millisecond
	t.Cleanup(train.ReadMetrics(one, nil))
	device := testkit.Device(t)
	for name, o := range map[string]train.Options{
		"read after each step":   {LogEvery: 1},
		"read at the end":        {LogEvery: 100},
		"evaluated before":       {LogEvery: 100, EvalEvery: 2},
		"sampled before":         {LogEvery: 100, SampleEvery: 2},
		"saved before":           {LogEvery: 100, SaveEvery: 2},
		"read after a few steps": {LogEvery: 2},
	} {
		t.Run(name, func(t *testing.T) {
			o.Steps = steps
			l, folder := loop(t, trainer(t, device, o), drawn)
			done := func() { // whatever comes between steps must not be what waits for them
				require.GreaterOrEqual(t, l.State().Seconds, (time.Duration(l.Trainer.At()) * one).Seconds())
			}
			l.Evaluate = func(context.Context) (float64, error) { done(); return 1, nil }
			l.Sample = func(context.Context) (string, error) { done(); return "", nil }
			l.Report = func(train.Event) { done() }
			require.NoError(t, l.Run(context.Background()))
			records, _, err := runlog.Read(filepath.Join(folder, runlog.MetricsFile))
			require.NoError(t, err)
			logged := 0.0
			for _, record := range records {
				if record.Kind == runlog.KindStep {
					logged += record.Values[runlog.Seconds]
				}
			}
			require.InDelta(t, l.State().Seconds, logged, 1e-3, "the log has the whole time")
		})
	}
}

func TestTooLittleMemoryIsToldWithTheRemedyWhenItIsFoundLate(t *testing.T) {
	made := trainer(t, testkit.Device(t), train.Options{Steps: 4})
	for range 2 {
		require.NoError(t, made.Step([]train.Batch{drawn(0)}))
	}
	t.Cleanup(train.ReadMetrics(0, errors.New("PJRT error (code=8): RESOURCE_EXHAUSTED: Out of memory while trying to allocate")))
	_, err := made.Flush()
	require.ErrorIs(t, err, xla.ErrOutOfMemory)
	require.ErrorContains(t, err, "read metrics of step 1: the device is out of memory")
	require.ErrorContains(t, err, "use a smaller batch than 2")
}
