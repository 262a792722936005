package train_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"tandem/tests/testkit"
	"tandem/workbench/checkpoint"
	"tandem/workbench/runlog"
	"tandem/workbench/train"
)

func TestATrainingInterruptedInItsLastHookIsSavedAndSaysThatItWasCutShort(t *testing.T) {
	device := testkit.Device(t)
	for name, set := range map[string]func(l *train.Loop, cut func(context.Context) error){
		"validation": func(l *train.Loop, cut func(context.Context) error) {
			l.Evaluate = func(ctx context.Context) (float64, error) { return 0, cut(ctx) }
		},
		"sample": func(l *train.Loop, cut func(context.Context) error) {
			l.Sample = func(ctx context.Context) (string, error) { return "", cut(ctx) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			l, folder := loop(t, trainer(t, device, train.Options{Steps: 2}), drawn)
			set(l, func(ctx context.Context) error { cancel(); return ctx.Err() })
			err := l.Run(ctx)
			require.ErrorIs(t, err, train.ErrInterrupted)
			require.EqualError(t, err, "interrupted in the last validation or sample; all steps are done and saved, and workbench eval measures them")
			entries, _, err := checkpoint.List(folder)
			require.NoError(t, err)
			require.Equal(t, 2, entries[0].Step)
		})
	}
}

func TestASampleThatFailsCostsNoStep(t *testing.T) {
	device := testkit.Device(t)
	fails := func(context.Context) (string, error) { return "", errors.New("no room") }
	l, folder := loop(t, trainer(t, device, train.Options{Steps: 2}), drawn)
	l.Sample = fails
	require.EqualError(t, l.Run(context.Background()), "sample at step 2: no room")
	entries, _, err := checkpoint.List(folder)
	require.NoError(t, err)
	require.Equal(t, 2, entries[0].Step)
}

func TestATrainingOfMinutesThatIsResumedGoesOnWithItsSchedule(t *testing.T) {
	options := train.Options{Minutes: 10, FinalLR: 0.01, LogEvery: 1}
	made := trainer(t, testkit.Device(t), options)
	snapshot, err := made.Snapshot(nil)
	require.NoError(t, err)
	snapshot.Step = 900 // in nine of the ten minutes
	require.NoError(t, made.Restore(snapshot))
	l, folder := loop(t, made, drawn)
	l.Resume(train.LoopState{Step: 900, Seconds: 540})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	l.Report = func(train.Event) { cancel() }
	require.ErrorIs(t, l.Run(ctx), train.ErrInterrupted)
	require.Equal(t, 1000, made.Options().Steps)
	records, _, err := runlog.Read(filepath.Join(folder, runlog.MetricsFile))
	require.NoError(t, err)
	require.InDelta(t, 0.25+0.75*0.01, records[0].Values["lr"], 1e-9, "a quarter of the warm-down is left")
}
