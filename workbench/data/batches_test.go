package data

import (
	"encoding/json"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestResumeGivesTheVeryNextBatch(t *testing.T) {
	r := rand.New(rand.NewPCG(21, 22))
	texts := randomTexts(r, 150, 90)
	s := tokenize(t, &listCorpus{texts: texts}, byteEncoder{})
	for _, test := range []struct {
		name    string
		options BatchOptions
	}{
		{"training, over several epochs", BatchOptions{Batch: 3, Time: 40, Buffer: 20, Seed: 5, Loop: true}},
		{"training, with a buffer larger than the corpus", BatchOptions{Batch: 2, Time: 33, Seed: 6, Loop: true}},
		{"training, with rows far shorter than documents", BatchOptions{Batch: 16, Time: 5, Buffer: 8, Loop: true}},
		{"one pass", BatchOptions{Batch: 3, Time: 40, Buffer: 10}},
		{"one pass of validation", BatchOptions{Batch: 1, Time: 16, Split: Validation}},
	} {
		t.Run(test.name, func(t *testing.T) {
			whole, err := NewBatches(s, test.options)
			require.NoError(t, err)
			all := take(t, whole, 120)
			if test.options.Loop {
				require.Greater(t, all[len(all)-1].Epoch, 0, "the test must cross an epoch")
			}
			running, err := NewBatches(s, test.options)
			require.NoError(t, err)
			for n := range len(all) + 1 {
				resumed := resume(t, s, test.options, running)
				more := min(4, len(all)-n)
				require.Equal(t, all[n:n+more], take(t, resumed, more), "after %d batches", n)
				if n < len(all) {
					require.Equal(t, all[n:n+1], take(t, running, 1))
				}
			}
			if !test.options.Loop {
				_, err := resume(t, s, test.options, running).Next()
				require.Equal(t, io.EOF, err)
			}
			require.Equal(t, running.Stats(), resume(t, s, test.options, running).Stats())
		})
	}
}

// resume sends the state of b through JSON into a new iterator.
func resume(t *testing.T, s *Shards, o BatchOptions, b *Batches) *Batches {
	t.Helper()
	state, err := b.State()
	require.NoError(t, err)
	text, err := json.Marshal(state)
	require.NoError(t, err)
	var restored State
	require.NoError(t, json.Unmarshal(text, &restored))
	fresh, err := NewBatches(s, o)
	require.NoError(t, err)
	require.NoError(t, fresh.Restore(restored))
	return fresh
}

func TestRestoreRefusesAForeignOrDamagedState(t *testing.T) {
	r := rand.New(rand.NewPCG(31, 32))
	texts := randomTexts(r, 100, 60)
	s := tokenize(t, &listCorpus{texts: texts}, byteEncoder{})
	o := BatchOptions{Batch: 2, Time: 20, Buffer: 30, Loop: true}
	for _, test := range []struct {
		name   string
		change func(*State)
		parts  []string
	}{
		{"of another corpus", func(s *State) { s.Content = "x" }, []string{"other text or another tokenizer", "new run"}},
		{"of another vocabulary", func(s *State) { s.Vocabulary = 300 }, []string{"vocabulary 300, here 257"}},
		{"of another shape", func(s *State) { s.Batch, s.Time = 7, 9 }, []string{"batch 7, here 2; context 9, here 20"}},
		{"of another seed", func(s *State) { s.Seed = 1 }, []string{"seed 1, here 0"}},
		{"of the other split", func(s *State) { s.Split = Validation }, []string{"split validation, here train"}},
		{"of one pass", func(s *State) { s.Loop = false }, []string{"loop false, here true"}},
		{"of another buffer", func(s *State) { s.Buffer = 31 }, []string{"buffer 31, here 30"}},
		{"that is empty", func(s *State) { *s = State{} }, []string{"vocabulary 0, here 257"}},
		{"with a cursor out of range", func(s *State) { s.Cursor = 1000 }, []string{"damaged"}},
		{"with a negative epoch", func(s *State) { s.Epoch = -1 }, []string{"damaged"}},
		{"with a document out of range", func(s *State) { s.Waiting[0][0] = 4000 }, []string{"read document 4000", "damaged"}},
		{"with a token out of range", func(s *State) { s.Waiting[0][1] = 4000 }, []string{"token 4000", "damaged"}},
		{"with a token before the first", func(s *State) { s.Waiting[0][1] = 0 }, []string{"token 0", "damaged"}},
		{"with too many waiting", func(s *State) { s.Waiting = make([][2]int64, 31) }, []string{"31 waiting", "damaged"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			b, err := NewBatches(s, o)
			require.NoError(t, err)
			take(t, b, 2)
			before, err := b.State()
			require.NoError(t, err)
			changed, err := b.State()
			require.NoError(t, err)
			test.change(&changed)
			requireLine(t, b.Restore(changed), append(test.parts, "restore the data position")...)
			after, err := b.State()
			require.NoError(t, err)
			require.Equal(t, before, after, "a refused state must change nothing")
		})
	}
	t.Run("of the same text elsewhere is welcome", func(t *testing.T) {
		b, err := NewBatches(s, o)
		require.NoError(t, err)
		take(t, b, 3)
		elsewhere := tokenize(t, &listCorpus{texts: texts, fingerprint: "moved"}, byteEncoder{})
		require.Equal(t, take(t, resume(t, elsewhere, o, b), 5), take(t, b, 5))
	})
}

func TestNewBatchesRefusesWhatItCannotServe(t *testing.T) {
	s := tokenize(t, &listCorpus{texts: []string{"some text", "more text"}}, byteEncoder{})
	for _, test := range []struct {
		name    string
		options BatchOptions
		parts   []string
	}{
		{"no rows", BatchOptions{Time: 4}, []string{"batch 0 of context 4", "at least 1"}},
		{"no positions", BatchOptions{Batch: 4}, []string{"context 0"}},
		{"more positions than memory", BatchOptions{Batch: 1 << 40, Time: 1 << 40}, []string{"at most"}},
		{"a negative buffer", BatchOptions{Batch: 1, Time: 1, Buffer: -1}, []string{"buffer of -1"}},
		{"an unknown split", BatchOptions{Batch: 1, Time: 1, Split: "test"}, []string{"no split \"test\"", "train or validation"}},
		{"a corpus shorter than a batch", BatchOptions{Batch: 3, Time: 6, Loop: true}, []string{"has 20 tokens in train", "takes 21", "(3 rows of 6+1)", "smaller batch"}},
		{"a split without documents", BatchOptions{Batch: 1, Time: 4, Split: Validation}, []string{"empty split", "none of the 2", "in validation", "give more text"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := NewBatches(s, test.options)
			requireLine(t, err, append(test.parts, "make batches")...)
			if test.options.Split == Validation {
				require.ErrorIs(t, err, ErrEmptySplit)
			}
		})
	}
}

func TestAFailedReadEndsTheIteratorAndItsState(t *testing.T) {
	s, err := Tokenize(t.Context(), &listCorpus{texts: randomTexts(rand.New(rand.NewPCG(1, 1)), 50, 50)}, byteEncoder{}, t.TempDir(), nil)
	require.NoError(t, err)
	b, err := NewBatches(s, BatchOptions{Batch: 1, Time: 8, Loop: true})
	require.NoError(t, err)
	take(t, b, 1)
	require.NoError(t, s.Close())
	_, err = b.Next()
	requireLine(t, err, "make batch", "closed")
	_, again := b.Next()
	require.Equal(t, err, again)
	_, err = b.State()
	requireLine(t, err, "save the data position", "earlier checkpoint")
}

func TestSeedsAndEpochsGiveOtherOrders(t *testing.T) {
	s := tokenize(t, &listCorpus{texts: randomTexts(rand.New(rand.NewPCG(2, 2)), 200, 50)}, byteEncoder{})
	first := func(seed uint64) []int32 {
		b, err := NewBatches(s, BatchOptions{Batch: 2, Time: 50, Seed: seed, Loop: true})
		require.NoError(t, err)
		return take(t, b, 1)[0].Inputs
	}
	require.Equal(t, first(1), first(1))
	require.NotEqual(t, first(1), first(2))
}
