package data

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// mixed tokenises a mixture of texts that the ids of byteEncoder tell apart: those of part i are all the letter 'a'+i.
func mixed(t testing.TB, weights []float64, parts ...[]string) *Shards {
	t.Helper()
	m := &Mixture{name: "mix"}
	for i, texts := range parts {
		m.parts = append(m.parts, &namedCorpus{listCorpus{texts: texts, fingerprint: fmt.Sprint(i)}, string(rune('a' + i))})
	}
	m.weights = weights
	return tokenize(t, m, byteEncoder{})
}

type namedCorpus struct {
	listCorpus
	name string
}

func (c *namedCorpus) Name() string { return c.name }

// repeats are count texts of one letter, of different lengths up to longest.
func repeats(letter string, count, longest int) []string {
	var texts []string
	for i := range count {
		texts = append(texts, strings.Repeat(letter, 1+i*longest/count))
	}
	return texts
}

func TestAMixtureServesTokensByWeight(t *testing.T) {
	for _, test := range []struct {
		name    string
		weights []float64
		parts   [][]string
	}{
		{"long and short documents", []float64{0.5, 0.5}, [][]string{repeats("a", 300, 400), repeats("b", 300, 20)}},
		{"a small part that begins anew many times", []float64{0.3, 0.7}, [][]string{repeats("a", 400, 300), repeats("b", 40, 30)}},
		{"three parts", []float64{0.7, 0.2, 0.1}, [][]string{repeats("a", 300, 50), repeats("b", 300, 50), repeats("c", 300, 50)}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := mixed(t, test.weights, test.parts...)
			b, err := NewBatches(s, BatchOptions{Batch: 4, Time: 63, Buffer: 50, Loop: true})
			require.NoError(t, err)
			counts := map[int32]float64{}
			total := 0.0
			began := map[string]int{}
			for _, batch := range take(t, b, 2000) {
				owner := int32(0) // of a BOS is the token after it
				for i := len(batch.Inputs) - 1; i >= 0; i-- {
					if batch.Inputs[i] != 256 {
						owner = batch.Inputs[i]
					}
					counts[owner]++
					total++
				}
				for _, name := range batch.Began {
					began[name]++
				}
			}
			for i, weight := range test.weights {
				require.InDelta(t, weight, counts[int32('a'+i)]/total, 0.01, "part %d", i)
				require.Equal(t, b.packer.order.parts[i].Epoch, began[string(rune('a'+i))], "each pass after the first is told")
			}
			require.NotEmpty(t, began)
		})
	}
}

func TestAMixtureResumesAtTheVeryNextBatch(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	s := mixed(t, []float64{0.75, 0.25}, randomTexts(r, 120, 90), randomTexts(r, 25, 200))
	o := BatchOptions{Batch: 3, Time: 40, Buffer: 20, Seed: 5, Loop: true}
	whole, err := NewBatches(s, o)
	require.NoError(t, err)
	all := take(t, whole, 150)
	require.Greater(t, whole.packer.order.parts[1].Epoch, 1)
	running, err := NewBatches(s, o)
	require.NoError(t, err)
	for n := range all {
		more := min(3, len(all)-n)
		require.Equal(t, all[n:n+more], take(t, resume(t, s, o, running), more), "after %d batches", n)
		require.Equal(t, all[n:n+1], take(t, running, 1))
	}
	state, err := running.State()
	require.NoError(t, err)
	for name, damage := range map[string]func(*State){
		"without its parts":          func(s *State) { s.Parts = nil },
		"with a cursor beyond":       func(s *State) { s.Parts[1].Cursor = 1000 },
		"with negative tokens":       func(s *State) { s.Parts[0].Tokens = -1 },
		"of another mixture's parts": func(s *State) { s.Parts = append(s.Parts, PartState{}) },
	} {
		damaged := state
		damaged.Parts = append([]PartState{}, state.Parts...)
		damage(&damaged)
		t.Run(name, func(t *testing.T) {
			requireLine(t, running.Restore(damaged), "damaged, take an earlier checkpoint")
		})
	}
}

func TestOnePassOverAMixtureHoldsEveryDocumentOnce(t *testing.T) {
	s := mixed(t, []float64{0.9, 0.1}, repeats("a", 60, 40), repeats("b", 60, 40))
	b, err := NewBatches(s, BatchOptions{Batch: 2, Time: 30})
	require.NoError(t, err)
	for {
		if _, err := b.Next(); err != nil {
			break
		}
	}
	require.Equal(t, s.Documents(Train), b.Stats().Documents)
	require.Equal(t, s.Tokens(Train), b.Stats().Tokens+b.Stats().Documents)
}

func TestAMixtureStreamsEveryDocumentOnceWithItsWeightsInFront(t *testing.T) {
	dir := t.TempDir()
	a := writeFile(t, jsonTexts(repeats("a", 200, 50)), dir, "a.jsonl")
	b := writeFile(t, jsonTexts(repeats("b", 200, 50)), dir, "b.jsonl")
	c, err := Open(a + "=3, " + b + "=1")
	require.NoError(t, err)
	texts := collect(t, c)
	require.Len(t, texts, 400)
	front := strings.Join(texts[:200], "")
	require.InDelta(t, 0.75, float64(strings.Count(front, "a"))/float64(len(front)), 0.02)
	mark, err := c.Fingerprint()
	require.NoError(t, err)
	other, err := Open(a + "=1," + b + "=1")
	require.NoError(t, err)
	otherMark, err := other.Fingerprint()
	require.NoError(t, err)
	require.NotEqual(t, mark, otherMark)
}

func jsonTexts(texts []string) string {
	return `{"text":"` + strings.Join(texts, "\"}\n{\"text\":\"") + `"}`
}

func TestTheTokensOfAPartServeEveryMixture(t *testing.T) {
	dir, cache := t.TempDir(), t.TempDir()
	a := writeFile(t, jsonTexts(repeats("a", 100, 50)), dir, "a.jsonl")
	b := writeFile(t, jsonTexts(repeats("b", 100, 50)), dir, "b.jsonl")
	documents := 0
	for _, spec := range []string{a, a + "=1," + b + "=2", a + "=5," + b + "=1"} {
		c, err := Open(spec)
		require.NoError(t, err)
		s, err := Tokenize(t.Context(), c, byteEncoder{}, cache, func(d int, _ int64) { documents = d })
		require.NoError(t, err)
		require.NoError(t, s.Close())
	}
	require.Equal(t, 100, documents, "b was tokenised after a, which was not again")
}

func TestABadMixtureIsSaidInOneLine(t *testing.T) {
	dir := t.TempDir()
	a, b := writeFile(t, "text", dir, "a.txt"), writeFile(t, "text", dir, "b.txt")
	for spec, parts := range map[string][]string{
		a + "=1e308," + b + "=1e308":    {"weight 1e+308 of", "is nothing of +Inf in all"},
		a + "=1e300," + b + "=1e-300":   {"weight 1e-300 of", "b.txt"},
		a + "=0.5," + a + "=0.5":        {"in the mixture twice"},
		a + "=0.5,b.txt":                {`part "b.txt" of the mixture has no weight`},
		a + "=0,b=1":                    {`weight "0"`, "above 0"},
		a + "=-1":                       {`weight "-1"`, "above 0"},
		a + "=1e999,b=1":                {`weight "1e999"`},
		a + "=0.5,":                     {`part ""`},
		a + "=0.5," + dir + "/none=0.5": {"none", "no such file or folder"},
	} {
		_, err := Open(spec)
		requireLine(t, err, parts...)
	}
	s := mixed(t, []float64{0.5, 0.5}, repeats("a", 60, 40), []string{strings.Repeat("x", 26)}) // which is held out
	_, err := NewBatches(s, BatchOptions{Batch: 1, Time: 10, Loop: true})
	requireLine(t, err, `part "b" of the mixture has no document in train`)
	require.ErrorIs(t, err, ErrEmptySplit)

	named := writeFile(t, "a file whose name looks like a mixture", dir, "a=1,b=2")
	c, err := Open(named)
	require.NoError(t, err)
	require.Len(t, collect(t, c), 1)
}
