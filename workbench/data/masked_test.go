package data

import (
	"context"
	"encoding/json"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

const maskedBOS = 0

// maskedDocuments are count documents of 2 to longest tokens, each of which, BOS apart, is a token of its own. Every
// third is not to be learned.
func maskedDocuments(t testing.TB, seed uint64, count, longest, context int) *Masked {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 1))
	m := NewMasked(maskedBOS, context)
	next := int32(1)
	for range count {
		tokens, learn := []int32{maskedBOS}, []bool{false}
		for range 1 + r.IntN(longest-1) {
			tokens, learn = append(tokens, next), append(learn, next%3 > 0 || len(tokens) == 1)
			next++
		}
		require.NoError(t, m.Add(tokens, learn))
	}
	return m
}

func TestADocumentIsRefusedRatherThanCut(t *testing.T) {
	m := NewMasked(maskedBOS, 3)
	yes := []bool{false, true, true, true, true}
	require.NoError(t, m.Add([]int32{0, 7, 8, 9}, yes[:4]), "the last token is only a target")
	require.ErrorIs(t, m.Add([]int32{0, 7, 8, 9, 10}, yes), ErrTooLong)
	require.ErrorContains(t, m.Add([]int32{0, 7, 8, 9, 10}, yes), "it has 5 tokens and a row holds 4")
	require.ErrorIs(t, m.Add([]int32{0, 7}, []bool{true, false}), ErrNoTarget, "BOS begins a document and is never a target")
	require.ErrorContains(t, m.Add([]int32{7, 8}, yes[:2]), "must begin with token 0")
	require.ErrorContains(t, m.Add([]int32{0, 8}, yes[:3]), "3 marks")
	require.Error(t, m.Add(nil, nil))
	require.Equal(t, 1, m.Documents())
	require.EqualValues(t, 4, m.Tokens())
	require.EqualValues(t, 3, m.Targets())
}

func TestABatchHoldsWholeDocumentsAndTheirTargets(t *testing.T) {
	m := NewMasked(maskedBOS, 5)
	require.NoError(t, m.Add([]int32{0, 1, 2}, []bool{false, false, true}))
	require.NoError(t, m.Add([]int32{0, 3, 4, 5}, []bool{false, true, false, true}))
	require.NoError(t, m.Add([]int32{0, 6}, []bool{false, true}))
	b, err := m.Batches(MaskedOptions{Batch: 2})
	require.NoError(t, err)
	batch, err := b.Next()
	require.NoError(t, err)
	require.Equal(t, []int32{
		0, 1, 2, 0, 6, // room for the third, not for the second
		0, 3, 4, 5, 0,
	}, batch.Inputs)
	require.Equal(t, []int32{
		-1, 2, -1, 6, -1,
		3, -1, 5, -1, -1,
	}, batch.Targets)
	require.Equal(t, []int32{
		0, 0, 0, 1, 1,
		0, 0, 0, 0, 1,
	}, batch.Documents)
	_, err = b.Next()
	require.Equal(t, io.EOF, err)
	require.Equal(t, Stats{Batches: 1, Positions: 12, Tokens: 6, Documents: 3, Padding: 3}, b.Stats())
	require.InDelta(t, 0.75, b.Stats().Utilisation(), 1e-9)
}

func TestEveryTargetIsServedOnceAnEpoch(t *testing.T) {
	for _, loop := range []bool{false, true} {
		m := maskedDocuments(t, 3, 500, 40, 48)
		b, err := m.Batches(MaskedOptions{Batch: 3, Loop: loop, Seed: 5})
		require.NoError(t, err)
		seen := map[int32]int{}
		for b.Stats().Documents < int64(m.Documents()) {
			for target, times := range seen { // of all batches but the last, in which the next epoch begins
				require.LessOrEqual(t, times, 1, "token %d", target)
			}
			batch, err := b.Next()
			require.NoError(t, err)
			require.True(t, slices.ContainsFunc(batch.Targets, func(target int32) bool { return target >= 0 }))
			for i, target := range batch.Targets {
				if target >= 0 {
					seen[target]++
				}
				if target >= 0 && i%48 < 47 && batch.Documents[i] == batch.Documents[i+1] {
					require.Equal(t, target, batch.Inputs[i+1])
				}
			}
		}
		require.EqualValues(t, m.Targets(), len(seen))
		require.Greater(t, b.Stats().Utilisation(), 0.9, "best fit leaves little padding")
	}
}

func TestStepsCountWhatTheEpochsTake(t *testing.T) {
	m := maskedDocuments(t, 4, 500, 30, 32)
	for _, epochs := range []int{1, 3} {
		steps, err := m.Steps(t.Context(), 4, epochs, 9)
		require.NoError(t, err)
		b, err := m.Batches(MaskedOptions{Batch: 2, Loop: true, Seed: 9})
		require.NoError(t, err)
		want := int64(epochs * m.Documents())
		for step := range steps {
			require.Less(t, b.Stats().Documents, want, "step %d of %d", step, steps)
			draw(t, b)
			draw(t, b)
		}
		require.GreaterOrEqual(t, b.Stats().Documents, want)
	}
}

func draw(t testing.TB, b *MaskedBatches) *Batch {
	t.Helper()
	batch, err := b.Next()
	require.NoError(t, err)
	return batch
}

func TestMaskedBatchesResumeAtTheExactBatch(t *testing.T) {
	m := maskedDocuments(t, 5, 600, 30, 40)
	o := MaskedOptions{Batch: 2, Seed: 7, Loop: true}
	straight, err := m.Batches(o)
	require.NoError(t, err)
	for i := range 300 { // over more than one epoch
		if i%37 == 0 {
			saved, err := json.Marshal(straight.State())
			require.NoError(t, err)
			var state MaskedState
			require.NoError(t, json.Unmarshal(saved, &state))
			resumed, err := maskedDocuments(t, 5, 600, 30, 40).Batches(o)
			require.NoError(t, err)
			require.NoError(t, resumed.Restore(state))
			for range 5 {
				require.Equal(t, draw(t, straight), draw(t, resumed))
			}
			require.Equal(t, straight.State(), resumed.State())
			continue
		}
		draw(t, straight)
	}
	require.Greater(t, straight.State().Epoch, 0)
}

func TestAStateOfOtherDocumentsIsRefused(t *testing.T) {
	m := maskedDocuments(t, 6, 50, 20, 24)
	b, err := m.Batches(MaskedOptions{Batch: 2, Seed: 7, Loop: true})
	require.NoError(t, err)
	draw(t, b)
	good := b.State()
	for says, change := range map[string]func(s *MaskedState){
		"saved with batch 3, here 2":         func(s *MaskedState) { s.Batch = 3 },
		"saved with context 9, here 24":      func(s *MaskedState) { s.Context = 9 },
		"saved with seed 1, here 7":          func(s *MaskedState) { s.Seed = 1 },
		"saved with loop false, here true":   func(s *MaskedState) { s.Loop = false },
		"other documents":                    func(s *MaskedState) { s.Content = "x" },
		"document 51 of 50 and":              func(s *MaskedState) { s.Cursor = 51 },
		"document 50 of 50; the state is":    func(s *MaskedState) { s.Waiting = []int64{50} },
		"257 waiting make no sense":          func(s *MaskedState) { s.Waiting = make([]int64, maskedBuffer+1) },
		"epoch -1, document 50 of 50 and":    func(s *MaskedState) { s.Epoch = -1 },
		"document -1 of 50; the state is da": func(s *MaskedState) { s.Waiting = []int64{-1} },
	} {
		state := good
		change(&state)
		requireLine(t, b.Restore(state), "restore the data position: ", says)
		require.Equal(t, good, b.State())
	}
}

func TestBatchesOfNothingAreRefused(t *testing.T) {
	_, err := NewMasked(maskedBOS, 8).Batches(MaskedOptions{Batch: 2})
	requireLine(t, err, "there are no documents")
	_, err = maskedDocuments(t, 1, 3, 4, 8).Batches(MaskedOptions{})
	requireLine(t, err, "batch 0 of context 8")
}

func TestCountingStepsEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := maskedDocuments(t, 4, 500, 30, 32).Steps(ctx, 4, math.MaxInt32, 9)
	require.ErrorIs(t, err, context.Canceled)
}
