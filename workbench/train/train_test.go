package train_test

import (
	"context"
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"tandem/blocks"
	"tandem/models"
	"tandem/tests/testkit"
	"tandem/workbench/checkpoint"
	"tandem/workbench/runlog"
	"tandem/workbench/train"
	"tandem/xla"
)

const (
	batch  = 2
	length = 8
	vocab  = 16
)

func tiny(t testing.TB) *models.Model {
	t.Helper()
	model, err := models.New(models.Config{Pattern: "TMM", Width: 16, Vocab: vocab, Context: length, Blocks: blocks.Configs{
		"transformer": &blocks.Transformer{HeadDim: 8}, "mamba": &blocks.Mamba{State: 3},
	}})
	require.NoError(t, err)
	return model
}

func trainer(t testing.TB, device *xla.Device, o train.Options) *train.Trainer {
	t.Helper()
	o.Batch = batch
	made, err := train.New(device, tiny(t), o)
	require.NoError(t, err)
	t.Cleanup(made.Close)
	return made
}

// drawn is batch number i: counting up from a random token, which a model can learn.
func drawn(i int) train.Batch {
	random := rand.New(rand.NewPCG(9, uint64(i)))
	b := train.Batch{}
	for range batch {
		start := random.IntN(vocab)
		for at := range length {
			b.Tokens = append(b.Tokens, int32((start+at)%vocab))
			b.Targets = append(b.Targets, int32((start+at+1)%vocab))
			b.Documents = append(b.Documents, int32(at/5))
		}
	}
	return b
}

func losses(t testing.TB, made *train.Trainer) (values []float64) {
	t.Helper()
	metrics, err := made.Flush()
	require.NoError(t, err)
	for _, m := range metrics {
		values = append(values, m.Loss)
	}
	return values
}

func TestTrainingLearnsToCount(t *testing.T) {
	made := trainer(t, testkit.Device(t), train.Options{Steps: 60})
	for i := range 60 {
		require.NoError(t, made.Step([]train.Batch{drawn(i)}))
	}
	values := losses(t, made)
	require.Len(t, values, 60)
	require.InDelta(t, math.Log(vocab), values[0], 0.01)
	require.Less(t, values[59], 0.5, "loss %v", values)
}

func TestAccumulatedPassesEqualOneLargerBatch(t *testing.T) {
	device := testkit.Device(t)
	whole := trainer(t, device, train.Options{Steps: 8})
	parts := trainer(t, device, train.Options{Steps: 8, Accumulate: 3})
	for i := range 8 {
		// Three times the same pass has the gradient of one.
		require.NoError(t, whole.Step([]train.Batch{drawn(i)}))
		require.NoError(t, parts.Step([]train.Batch{drawn(i), drawn(i), drawn(i)}))
	}
	want, got := losses(t, whole), losses(t, parts)
	for i := range want {
		require.InDelta(t, want[i], got[i], 1e-3)
	}
	// Different passes must matter.
	mixed := trainer(t, device, train.Options{Steps: 8, Accumulate: 3})
	for i := range 8 {
		require.NoError(t, mixed.Step([]train.Batch{drawn(i), drawn(i + 100), drawn(i + 200)}))
	}
	require.NotEqual(t, got, losses(t, mixed))
}

func TestAStepThatIsNotFiniteChangesNothing(t *testing.T) {
	device := testkit.Device(t)
	made := trainer(t, device, train.Options{Steps: 10})
	require.NoError(t, made.Step([]train.Batch{drawn(0)}))
	before, err := made.Snapshot(nil)
	require.NoError(t, err)

	broken := before
	broken.Model = append([]checkpoint.Tensor{}, before.Model...)
	broken.Model[1] = before.Model[1]
	broken.Model[1].Data = append([]byte{}, before.Model[1].Data...)
	copy(broken.Model[1].Data, []byte{0, 0, 0xc0, 0x7f}) // a NaN in the head
	require.NoError(t, made.Restore(broken))
	require.NoError(t, made.Step([]train.Batch{drawn(1)}))
	metrics, err := made.Flush()
	require.NoError(t, err)
	require.True(t, metrics[len(metrics)-1].Skipped)
	after, err := made.Snapshot(nil)
	require.NoError(t, err)
	require.Equal(t, broken.Model, after.Model, "a skipped step must leave the weights")
	require.Equal(t, broken.Optimizer[:len(broken.Optimizer)-2], after.Optimizer[:len(after.Optimizer)-2], "and the optimizer")
}

func TestResumedTrainingIsBitForBitTheSame(t *testing.T) {
	device := testkit.Device(t)
	straight := trainer(t, device, train.Options{Steps: 12})
	for i := range 12 {
		require.NoError(t, straight.Step([]train.Batch{drawn(i)}))
	}
	first := trainer(t, device, train.Options{Steps: 12})
	for i := range 6 {
		require.NoError(t, first.Step([]train.Batch{drawn(i)}))
	}
	snapshot, err := first.Snapshot(json.RawMessage(`{}`))
	require.NoError(t, err)
	folder := t.TempDir()
	_, err = checkpoint.Save(folder, snapshot)
	require.NoError(t, err)

	loaded, _, _, err := checkpoint.Latest(folder)
	require.NoError(t, err)
	second := trainer(t, device, train.Options{Steps: 12, Seed: 99})
	require.NoError(t, second.Restore(loaded))
	require.Equal(t, 6, second.At())
	for i := 6; i < 12; i++ {
		require.NoError(t, second.Step([]train.Batch{drawn(i)}))
	}
	if device.Kind == "go" {
		require.Equal(t, losses(t, straight)[6:], losses(t, second))
		want, err := straight.Snapshot(nil)
		require.NoError(t, err)
		got, err := second.Snapshot(nil)
		require.NoError(t, err)
		require.Equal(t, want.Model, got.Model)
		require.Equal(t, want.Optimizer, got.Optimizer)
	}
}

func TestACheckpointOfAnotherArchitectureIsRefused(t *testing.T) {
	device := testkit.Device(t)
	made := trainer(t, device, train.Options{Steps: 2})
	snapshot, err := made.Snapshot(nil)
	require.NoError(t, err)
	missing := snapshot
	missing.Model = snapshot.Model[:3]
	require.ErrorContains(t, made.Restore(missing), `it is of another architecture`)
	surplus := snapshot
	surplus.Model = append([]checkpoint.Tensor{{Name: "blocks.03.mamba.d"}}, snapshot.Model...)
	require.ErrorContains(t, made.Restore(surplus), `the checkpoint has "blocks.03.mamba.d" and the model has not; it is of another architecture`)
	other := snapshot
	other.Model = append([]checkpoint.Tensor{}, snapshot.Model...)
	other.Model[0].Shape = []int{8, 8}
	require.ErrorContains(t, made.Restore(other), `"embedding" has shape [8 8] in the checkpoint and [16 16] in the model`)
}

// loop is a training of a tiny model in a folder of its own.
func loop(t testing.TB, made *train.Trainer, next func(i int) train.Batch) (*train.Loop, string) {
	t.Helper()
	folder := t.TempDir()
	log, _, err := runlog.Open(filepath.Join(folder, runlog.MetricsFile))
	require.NoError(t, err)
	t.Cleanup(func() { log.Close() })
	i := made.At()
	return &train.Loop{Trainer: made, Folder: folder, Log: log,
		Next: func() (train.Batch, error) { i++; return next(i - 1), nil },
		Data: func() (json.RawMessage, error) { return json.Marshal(i) },
	}, folder
}

func TestTheLoopLogsEvaluatesAndSaves(t *testing.T) {
	made := trainer(t, testkit.Device(t), train.Options{Steps: 10, LogEvery: 3, EvalEvery: 4, SaveEvery: 4, Keep: 2})
	l, folder := loop(t, made, drawn)
	evaluations := 0
	l.Evaluate = func(context.Context) (float64, error) { evaluations++; return 3 - float64(evaluations), nil }
	l.Sample = func(context.Context) (string, error) { return "a sample", nil }
	require.NoError(t, l.Run(context.Background()))
	require.Equal(t, 3, evaluations)
	require.Equal(t, 0.0, l.State().BestBPB)
	require.EqualValues(t, 10*batch*length, l.State().Tokens)

	entries, skipped, err := checkpoint.List(folder)
	require.NoError(t, err)
	require.Empty(t, skipped)
	require.Len(t, entries, 2)
	require.Equal(t, 10, entries[0].Step)
	records, bad, err := runlog.Read(filepath.Join(folder, runlog.MetricsFile))
	require.NoError(t, err)
	require.Empty(t, bad)
	require.Equal(t, 10, runlog.Summarize(records).Steps)
}

func TestInterruptedTrainingSavesAndSaysSo(t *testing.T) {
	made := trainer(t, testkit.Device(t), train.Options{Steps: 1000, SaveEvery: 500, LogEvery: 1})
	ctx, cancel := context.WithCancel(context.Background())
	l, folder := loop(t, made, drawn)
	l.Report = func(e train.Event) {
		if e.Step == 7 {
			cancel()
		}
	}
	require.ErrorIs(t, l.Run(ctx), train.ErrInterrupted)
	entries, _, err := checkpoint.List(folder)
	require.NoError(t, err)
	require.Equal(t, 7, entries[0].Step, "the step under way is finished and saved")
}

func TestATrainingWhoseFolderIsDeletedStopsAtItsNextSaveAndMakesNoOther(t *testing.T) {
	made := trainer(t, testkit.Device(t), train.Options{Steps: 1000, SaveEvery: 4, LogEvery: 1})
	l, folder := loop(t, made, drawn)
	l.Report = func(e train.Event) {
		if e.Step == 6 {
			require.NoError(t, os.RemoveAll(folder))
		}
	}
	err := l.Run(context.Background())
	require.ErrorContains(t, err, "save step 8: "+filepath.Join(folder, runlog.MetricsFile)+" is gone: it was deleted, moved or replaced while it was being written; the training ends here")
	require.NoDirExists(t, folder)
}

func TestATrainingThatOnlySkipsStopsAndKeepsTheLastCheckpoint(t *testing.T) {
	made := trainer(t, testkit.Device(t), train.Options{Steps: 100, SaveEvery: 4, LogEvery: 1, SkipLimit: 3, EmbeddingLR: 9, HeadLR: 9, MatrixLR: 9, ScalarLR: 9})
	l, folder := loop(t, made, drawn)
	l.Report = func(e train.Event) {
		if e.Kind == runlog.KindSave && e.Step == 4 { // from here on nothing is finite
			snapshot, err := made.Snapshot(nil)
			require.NoError(t, err)
			for at := range snapshot.Model[1].Data {
				snapshot.Model[1].Data[at] = 0xff
			}
			require.NoError(t, made.Restore(snapshot))
		}
	}
	err := l.Run(context.Background())
	require.ErrorContains(t, err, "training stopped at step 7: 3 steps in a row were skipped (loss NaN")
	require.ErrorContains(t, err, "--resume")
	entries, _, err := checkpoint.List(folder)
	require.NoError(t, err)
	require.Equal(t, 4, entries[0].Step)

	l, _ = loop(t, made, drawn)
	require.ErrorContains(t, l.Run(context.Background()), "there is no checkpoint yet: begin anew with lower learning rates")
}

func TestEvaluationCountsBytesAndIgnoresSpecialTokens(t *testing.T) {
	made := trainer(t, testkit.Device(t), train.Options{Steps: 2})
	lengths := make([]int32, vocab)
	for i := range lengths {
		lengths[i] = 2
	}
	lengths[3] = 0 // a special token
	given := false
	bpb, err := made.Evaluate(context.Background(), lengths, func() (train.Batch, bool, error) {
		first := !given
		given = true
		return drawn(0), first, nil
	})
	require.NoError(t, err)
	require.InDelta(t, math.Log2(vocab)/2, bpb, 1e-5, "an untrained model needs log2(16) bits for every 2 bytes")
}

func TestUnigramBitsPerByte(t *testing.T) {
	// Two tokens of one byte, three to one: entropy of held-out text under (3+1)/(4+2), (1+1)/(4+2).
	want := (-3*math.Log2(4.0/6) - math.Log2(2.0/6)) / 4
	require.InDelta(t, want, train.UnigramBPB([]int64{3, 1}, []int32{1, 1}, []int32{0, 0, 0, 1}), 1e-12)
}
