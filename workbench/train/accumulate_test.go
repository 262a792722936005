package train_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"tandem/tests/testkit"
	"tandem/workbench/train"
)

func TestPassesWithFewAndManyTargetsEqualOneBatchOfAllTheirRows(t *testing.T) {
	device := testkit.Device(t)
	many, few := drawn(0), drawn(1)
	for i := range few.Targets {
		if i%length != 3 {
			few.Targets[i] = -1 // as the user's turns in a conversation
		}
	}
	together := train.Batch{
		Tokens:    append(append([]int32{}, many.Tokens...), few.Tokens...),
		Targets:   append(append([]int32{}, many.Targets...), few.Targets...),
		Documents: append(append([]int32{}, many.Documents...), few.Documents...),
	}
	step := func(o train.Options, batches ...train.Batch) []train.Metrics {
		o.Steps = 2
		made, err := train.New(device, tiny(t), o)
		require.NoError(t, err)
		t.Cleanup(made.Close)
		for range o.Steps {
			require.NoError(t, made.Step(batches))
		}
		metrics, err := made.Flush()
		require.NoError(t, err)
		return metrics
	}
	want := step(train.Options{Batch: 2 * batch}, together)
	got := step(train.Options{Batch: batch, Accumulate: 2}, many, few)
	for i := range want {
		require.InEpsilon(t, want[i].Loss, got[i].Loss, 1e-4)
		require.InEpsilon(t, want[i].Norm, got[i].Norm, 1e-4)
	}
}
