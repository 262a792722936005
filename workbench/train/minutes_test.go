package train_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"tandem/tests/testkit"
	"tandem/workbench/runlog"
	"tandem/workbench/train"
)

func TestATrainingOfMinutesFindsItsStepsAndReachesTheEndOfItsSchedule(t *testing.T) {
	options := train.Options{Steps: 2, Minutes: 0.01, FinalLR: 0.05, LogEvery: 1, Keep: 1}
	made := trainer(t, testkit.Device(t), options)
	l, folder := loop(t, made, drawn)
	require.NoError(t, l.Run(context.Background()))

	steps := made.At()
	require.Greater(t, steps, 4, "a number of steps counts nothing beside minutes")
	require.Equal(t, steps, made.Options().Steps)
	records, _, err := runlog.Read(filepath.Join(folder, runlog.MetricsFile))
	require.NoError(t, err)
	last := 0.0
	for _, record := range records {
		if record.Kind == runlog.KindStep {
			last = record.Values["lr"]
		}
	}
	require.Less(t, last, 0.5, "the learning rate has fallen")

	again := trainer(t, testkit.Device(t), options)
	resumed, _ := loop(t, again, drawn)
	state := l.State()
	state.Seconds = max(state.Seconds, 0.6)
	resumed.Resume(state)
	require.ErrorContains(t, resumed.Run(context.Background()), "the 0.01 minutes of this run are over")
}

func TestTheLogHasTheRatesThatStepsHadNotThoseOfALaterEstimate(t *testing.T) {
	const warmup = 10_000 // more than the steps, and so shortened by the first estimate
	made := trainer(t, testkit.Device(t), train.Options{Minutes: 0.005, Warmup: warmup, LogEvery: 1 << 20, Keep: 1})
	l, folder := loop(t, made, drawn)
	require.NoError(t, l.Run(context.Background()))
	records, _, err := runlog.Read(filepath.Join(folder, runlog.MetricsFile))
	require.NoError(t, err)
	for i := range 4 {
		require.InDelta(t, float64(i+1)/warmup, records[i].Values["lr"], 1e-12, "step %d, before the first estimate", i)
	}
}

func TestMinutesThatCannotBeAreRefused(t *testing.T) {
	require.EqualError(t, train.Options{Minutes: -1}.Validate(), "minutes -1: must lie between 0 and 1000000")
}
