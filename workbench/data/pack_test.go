package data

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// rebuild joins the pieces of each document that batches hold: targets, in
// order, without BOS. It checks every position on the way.
func rebuild(t *testing.T, batches []*Batch, enc *rareEncoder) (joined map[int32][]int32) {
	t.Helper()
	owner := make([]int32, enc.size) // token -> first token of its document
	for text, first := range enc.firsts {
		for i := range len(text) {
			owner[first+int32(i)] = first
		}
	}
	joined = make(map[int32][]int32)
	for _, b := range batches {
		for row := range b.Batch {
			start, end := row*b.Time, (row+1)*b.Time
			inputs, targets, documents := b.Inputs[start:end], b.Targets[start:end], b.Documents[start:end]
			require.EqualValues(t, enc.BOS(), inputs[0], "a row must begin with BOS")
			require.Zero(t, documents[0])
			for i, target := range targets {
				if i > 0 {
					begins := inputs[i] == enc.BOS() && targets[i-1] != -1
					if targets[i-1] != -1 {
						require.Equal(t, targets[i-1], inputs[i])
					} else {
						require.EqualValues(t, -1, target, "padding must go on to the end")
						require.Equal(t, enc.BOS(), inputs[i])
					}
					if begins || i > 1 && targets[i-1] == -1 && targets[i-2] != -1 {
						require.Equal(t, documents[i-1]+1, documents[i])
					} else {
						require.Equal(t, documents[i-1], documents[i])
					}
				}
				if target > 0 {
					joined[owner[target]] = append(joined[owner[target]], target)
				}
				if target > 0 && inputs[i] != enc.BOS() {
					require.Equal(t, inputs[i]+1, target, "within a document the target is the token that follows")
				}
				if target == enc.BOS() {
					last := inputs[i]
					require.True(t, int(last)+1 == enc.size || owner[last+1] != owner[last], "BOS as a target must mean the end of a document")
				}
			}
		}
	}
	return joined
}

// requireWhole checks that each document of split is there times times, whole.
func requireWhole(t *testing.T, joined map[int32][]int32, texts []string, split Split, enc *rareEncoder, times int) {
	t.Helper()
	for _, text := range texts {
		first := enc.firsts[text]
		if SplitOf(text) != split {
			require.Empty(t, joined[first])
			continue
		}
		var want []int32
		for range times {
			want = enc.AppendEncode(want, text)
		}
		require.Equal(t, want, joined[first], "document of %d tokens", len(text))
	}
}

func TestOnePassHoldsEveryDocumentExactlyOnce(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 1))
		texts := randomTexts(r, 40+r.IntN(200), 8+r.IntN(120))
		o := BatchOptions{Batch: 1 + r.IntN(5), Time: 1 + r.IntN(60), Buffer: 1 + r.IntN(60)}
		if seed%3 == 0 {
			o.Split = Validation
		}
		t.Run(fmt.Sprintf("%d documents as %+v", len(texts), o), func(t *testing.T) {
			enc := newRareEncoder(texts)
			s := tokenize(t, &listCorpus{texts: texts}, enc)
			if o.Split == Validation && s.Documents(Validation) == 0 {
				t.Skip("this draw has no validation document")
			}
			b, err := NewBatches(s, o)
			require.NoError(t, err)
			split := b.options.Split
			requireWhole(t, rebuild(t, take(t, b, 1<<30), enc), texts, split, enc, 1)
			stats := b.Stats()
			require.Equal(t, s.Tokens(split)-s.Documents(split), stats.Tokens)
			require.Equal(t, s.Documents(split), stats.Documents)
			requireStats(t, stats, o)
			require.Less(t, stats.Padding, int64(o.Batch*(o.Time+1)), "less than a batch is padding")
		})
	}
}

func TestEveryEpochHoldsEveryDocumentExactlyOnce(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 2))
		texts := randomTexts(r, 60+r.IntN(100), 8+r.IntN(80))
		o := BatchOptions{Batch: 1 + r.IntN(3), Time: 1 + r.IntN(40), Buffer: 1 + r.IntN(90), Loop: true, Seed: seed}
		t.Run(fmt.Sprintf("%d documents as %+v", len(texts), o), func(t *testing.T) {
			enc := newRareEncoder(texts)
			s := tokenize(t, &listCorpus{texts: texts}, enc)
			b, err := NewBatches(s, o)
			require.NoError(t, err)
			const epochs = 3
			var batches []*Batch
			for len(batches) == 0 || batches[len(batches)-1].Epoch < epochs {
				batches = append(batches, take(t, b, 1)...)
			}
			joined := rebuild(t, batches, enc)
			for _, text := range texts { // the last batches have begun a further epoch
				first, length := enc.firsts[text], epochs*len(text)
				if SplitOf(text) == Train {
					require.GreaterOrEqual(t, len(joined[first]), length)
					joined[first] = joined[first][:length]
				}
			}
			requireWhole(t, joined, texts, Train, enc, epochs)
			requireStats(t, b.Stats(), o)
			require.Zero(t, b.Stats().Padding)
		})
	}
}

func requireStats(t *testing.T, s Stats, o BatchOptions) {
	t.Helper()
	require.Zero(t, s.Dropped)
	require.Equal(t, s.Batches*int64(o.Batch)*int64(o.Time+1), s.Positions)
	require.Equal(t, s.Positions, s.Tokens+s.Documents+s.TailBOS+s.EndBOS+s.Padding)
	require.LessOrEqual(t, s.Cut, s.Documents)
	require.InDelta(t, 1, s.Utilisation()+share(s.TailBOS+s.EndBOS, s.Positions)+share(s.Padding, s.Positions), 1e-9)
}

func TestARowIsPackedByBestFit(t *testing.T) {
	// The oldest opens, every other time one that is longer than a row; then the longest that fits follows, then a cut.
	for _, test := range []struct {
		name  string
		time  int
		sizes []int
		rows  [][]int // index of the document of each piece, and its size in the row
	}{
		{"the oldest opens and the longest that fits follow", 9, []int{4, 7, 3, 6, 2}, [][]int{{0, 4, 3, 6}, {1, 7, 2, 3}, {4, 2}}},
		{"the longest is cut when none fits", 9, []int{4, 8, 7}, [][]int{{0, 4, 1, 6}, {2, 7, 1, 3}}},
		{"a document longer than a row fills rows", 4, []int{12}, [][]int{{0, 5}, {0, 5}, {0, 4}}},
		{"a longer one is cut before one that fits a row", 4, []int{3, 5, 9}, [][]int{{0, 3, 2, 2}, {2, 5}, {1, 5}, {2, 4}}},
		{"a single place takes a BOS alone", 3, []int{3, 4}, [][]int{{0, 3, -1, 1}, {1, 4}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			shards := tokenize(t, &listCorpus{texts: []string{string(make([]byte, 99))}}, byteEncoder{})
			p := newPacker(shards, BatchOptions{Split: Train, Time: test.time})
			for i, size := range test.sizes {
				p.waiting.add(&piece{document: int64(i), length: size, from: 1})
			}
			var rows [][]int
			for range test.rows {
				waiting := p.waiting.inOrder()
				row, owners := make([]int32, test.time+1), make([]int32, test.time+1)
				filled, err := p.row(row, owners)
				require.NoError(t, err)
				rows = append(rows, pieces(waiting, p.waiting.inOrder(), owners[:filled]))
			}
			require.Equal(t, sorted(test.rows), sorted(rows))
			require.Zero(t, p.waiting.count)
		})
	}
}

// pieces tells which documents a row took, and how much of each, by what was
// waiting before and after.
func pieces(before, after []*piece, owners []int32) []int {
	left := make(map[int64]int)
	for _, p := range after {
		left[p.document] = p.length - p.from
	}
	var took []int
	used := 0
	for _, p := range before {
		if count := p.length - p.from - left[p.document]; count > 0 {
			took = append(took, int(p.document), count+1)
			used += count + 1
		}
	}
	if used < len(owners) {
		took = append(took, -1, len(owners)-used)
	}
	return took
}

// sorted puts the pieces of each row in the order of their documents, the lone BOS last.
func sorted(rows [][]int) [][]int {
	var out [][]int
	for _, row := range rows {
		pairs := slices.Collect(slices.Chunk(row, 2))
		slices.SortFunc(pairs, func(a, b []int) int { return int(uint(a[0])) - int(uint(b[0])) })
		out = append(out, slices.Concat(pairs...))
	}
	return out
}

func TestWaitingAgreesWithASearchOfAList(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	const capacity = 130
	w := newWaiting(capacity)
	var list []*piece // by arrival
	remove := func(want, got *piece) {
		require.Same(t, want, got)
		list = slices.DeleteFunc(list, func(p *piece) bool { return p == got })
	}
	longest := func(within int) (best *piece) {
		for _, p := range list {
			if w.class(p) <= within && (best == nil || w.class(p) > w.class(best)) {
				best = p
			}
		}
		return best
	}
	for step := range 20000 {
		switch choice := r.IntN(6); {
		case len(list) == 0 || choice < 3 && len(list) < 100:
			p := &piece{document: int64(step), length: 2 + r.IntN(capacity+40), from: 1}
			list = append(list, p)
			w.add(p)
		case choice == 3:
			remove(list[0], w.oldest())
		case choice == 4:
			remove(longest(capacity+1), w.longest())
		default:
			room := 1 + r.IntN(capacity)
			want, got := longest(room), w.longestWithin(room)
			if want == nil {
				require.Nil(t, got)
			} else {
				remove(want, got)
			}
		}
		require.Equal(t, len(list), w.count)
	}
	require.Equal(t, list, w.inOrder())
}

func TestShuffleIsAPermutationOfItsOwnForEachEpoch(t *testing.T) {
	for _, n := range []int64{1, 2, 3, 5, 16, 17, 1000, 4096, 5000} {
		t.Run(fmt.Sprintf("of %d", n), func(t *testing.T) {
			s, other := newShuffle(n, 42, 0), newShuffle(n, 42, 1)
			seen := make([]bool, n)
			same, fixed := 0, 0
			for i := range n {
				at := s.at(i)
				require.False(t, seen[at])
				seen[at] = true
				if at == other.at(i) {
					same++
				}
				if at == i {
					fixed++
				}
			}
			if n >= 1000 { // one is expected of a random order
				require.Less(t, same, 12)
				require.Less(t, fixed, 12)
			}
		})
	}
}
