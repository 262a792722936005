package eval_test

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tandem/models"
	"tandem/workbench/data"
	"tandem/workbench/eval"
)

func TestBitsPerByteOfAModelThatGuesses(t *testing.T) {
	tok := bytesOnly(t)
	folder := t.TempDir()
	files := map[string]string{}
	for i := range 300 {
		files[fmt.Sprintf("%03d.txt", i)] = strings.Repeat(fmt.Sprintf("document %d. ", i), 1+i%7)
	}
	writeFiles(t, folder, files)
	corpus, err := data.Open(folder)
	require.NoError(t, err)
	shards, err := data.Tokenize(context.Background(), corpus, tok, t.TempDir(), nil)
	require.NoError(t, err)
	defer shards.Close()
	f := newFixture(t, "MT", models.Config{Width: 16, Vocab: tok.VocabSize(), Context: 32})
	for i, weight := range f.model.Weights() {
		if weight.Name == "head" {
			f.weights[i] = zerosLike(f.weights[i])
		}
	}
	batches, err := data.NewBatches(shards, data.BatchOptions{Split: data.Train, Batch: 4, Time: 32})
	require.NoError(t, err)
	o := eval.BitsOptions{Task: "bpb/train", Batches: batches, Limit: 5, ByteLengths: tok.ByteLengths()}
	result, err := eval.RunBits(context.Background(), f.device, f.model, f.weights, o)
	require.NoError(t, err)
	require.InDelta(t, math.Log2(float64(tok.VocabSize())), result.Value, 1e-5, "a token is a byte")
	require.Equal(t, 20, result.Examples)
	require.Equal(t, "row 19", result.Outcomes[19].ID, "each row has its own, by which runs are compared")
	require.InDelta(t, result.Value, result.Interval.Low, 1e-5)

	f.weights[0] = nanLike(f.weights[0])
	o.Batches, err = data.NewBatches(shards, data.BatchOptions{Split: data.Train, Batch: 4, Time: 32})
	require.NoError(t, err)
	_, err = eval.RunBits(context.Background(), f.device, f.model, f.weights, o)
	require.EqualError(t, err, "bpb/train: the value of row 0 is NaN: the training diverged, or the weights are damaged; move the newest step-* folder away to evaluate the one before")

	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = eval.RunBits(ctx, f.device, f.model, f.weights, o)
	require.ErrorIs(t, err, context.Canceled)
}
