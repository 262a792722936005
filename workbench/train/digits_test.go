package train_test

import (
	"context"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"tandem/models"
	"tandem/tests/testkit"
	"tandem/workbench/train"
)

func TestAnEvaluationOfManyTokensKeepsItsDigits(t *testing.T) {
	const rows, time = 16, 1024
	model, err := models.New(models.Config{Pattern: "T", Width: 8, Vocab: vocab, Context: time})
	require.NoError(t, err)
	made, err := train.New(testkit.Device(t), model, train.Options{Steps: 1, Batch: rows})
	require.NoError(t, err)
	t.Cleanup(made.Close)
	b := train.Batch{Tokens: make([]int32, rows*time), Targets: make([]int32, rows*time), Documents: make([]int32, rows*time)}
	given := false
	bpb, err := made.Evaluate(context.Background(), slices.Repeat([]int32{3}, vocab), func() (train.Batch, bool, error) {
		first := !given
		given = true
		return b, first, nil
	})
	require.NoError(t, err)
	require.InEpsilon(t, math.Log2(vocab)/3, bpb, 1e-5)
}
