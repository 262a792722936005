package train_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"tandem/tests/testkit"
	"tandem/workbench/train"
)

// untargeted is a batch of which nothing is to be learned.
func untargeted() train.Batch {
	b := drawn(0)
	for i := range b.Targets {
		b.Targets[i] = -1
	}
	return b
}

func TestABatchWithoutATargetIsSkippedAndSaid(t *testing.T) {
	device := testkit.Device(t)
	straight := trainer(t, device, train.Options{Steps: 4})
	l, _ := loop(t, straight, drawn)
	require.NoError(t, l.Run(context.Background()))
	want, err := straight.Snapshot(nil)
	require.NoError(t, err)

	mixed := trainer(t, device, train.Options{Steps: 4})
	l, _ = loop(t, mixed, func(i int) train.Batch {
		if i%2 == 0 {
			return untargeted()
		}
		return drawn(i / 2)
	})
	said := 0
	l.Report = func(e train.Event) {
		if e.Text == "skipped a batch without a target" {
			said++
		}
	}
	require.NoError(t, l.Run(context.Background()))
	require.Equal(t, 4, said)
	got, err := mixed.Snapshot(nil)
	require.NoError(t, err)
	if device.Kind == "go" {
		require.Equal(t, want.Model, got.Model, "as if they had not been there")
	}

	l, _ = loop(t, trainer(t, device, train.Options{Steps: 4}), func(int) train.Batch { return untargeted() })
	require.ErrorContains(t, l.Run(context.Background()), "draw a batch for step 0: 100 batches in a row have no target")
}

func TestATrainingBeginsWithTheStateOfAnother(t *testing.T) {
	device := testkit.Device(t)
	base := trainer(t, device, train.Options{Steps: 12})
	for i := range 12 {
		require.NoError(t, base.Step([]train.Batch{drawn(i)}))
	}
	parent, err := base.Snapshot(nil)
	require.NoError(t, err)

	// step takes one step from the parent and gives the weights after it.
	step := func(o train.Options, optimizer bool) []byte {
		o.Steps = 20
		made := trainer(t, device, o)
		require.NoError(t, made.StartFrom(parent, optimizer))
		require.Equal(t, 0, made.At(), "the schedule begins anew")
		before, err := made.Snapshot(nil)
		require.NoError(t, err)
		require.Equal(t, parent.Model, before.Model)
		require.NoError(t, made.Step([]train.Batch{drawn(50)}))
		after, err := made.Snapshot(nil)
		require.NoError(t, err)
		return after.Model[0].Data // the embedding, which is AdamW's
	}
	cold := step(train.Options{}, false)
	warm := step(train.Options{Warm: 12}, true)
	require.NotEqual(t, cold, warm, "moments of the parent")
	require.NotEqual(t, step(train.Options{}, true), warm, "steps of the parent in Adam's bias correction")
	require.NotEqual(t, step(train.Options{Warm: 12, LRScale: 0.5}, true), warm, "the factor of the learning rates")

	parent.Optimizer = nil
	made := trainer(t, device, train.Options{Steps: 20})
	require.NoError(t, made.StartFrom(parent, false))
	require.ErrorContains(t, made.StartFrom(parent, true), "start from step 12: the checkpoint has no")
}

func TestTheFactorScalesTheWholeSchedule(t *testing.T) {
	whole, half := train.Options{Steps: 50}.Resolved(), train.Options{Steps: 50, LRScale: 0.5}.Resolved()
	for step := range 50 {
		require.InDelta(t, whole.At(step).LR/2, half.At(step).LR, 1e-12)
		require.Equal(t, whole.At(step).Momentum, half.At(step).Momentum)
	}
}
