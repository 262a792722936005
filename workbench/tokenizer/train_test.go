package tokenizer

import (
	"errors"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func texts(list ...string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for _, text := range list {
			if !yield(text, nil) {
				return
			}
		}
	}
}

// naiveRules recounts all pairs before each merge.
func naiveRules(corpus []string, limit int) []rule {
	var words [][]int32
	for _, text := range corpus {
		for _, piece := range oraclePieces(text) {
			var ids []int32
			for i := range len(piece) {
				ids = append(ids, int32(piece[i]))
			}
			words = append(words, ids)
		}
	}
	var rules []rule
	for len(rules) < limit {
		counts := map[rule]int{}
		for _, ids := range words {
			for i := 1; i < len(ids); i++ {
				counts[rule{ids[i-1], ids[i], int32(256 + len(rules))}]++
			}
		}
		var best rule
		for r, n := range counts {
			tie := n == counts[best] && (r.left < best.left || r.left == best.left && r.right < best.right)
			if n > counts[best] || tie {
				best = r
			}
		}
		if counts[best] == 0 {
			break
		}
		for w := range words {
			for applyFirst(&words[w], best) {
			}
		}
		rules = append(rules, best)
	}
	return rules
}

func TestTrainingEqualsNaiveTraining(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	corpora := [][]string{{prose}}
	for range 20 { // few letters, so that pairs overlap, repeat and tie
		var corpus []string
		for range 30 {
			text := make([]byte, random.IntN(40))
			for i := range text {
				text[i] = "aab "[random.IntN(4)]
			}
			corpus = append(corpus, string(text))
		}
		corpora = append(corpora, corpus)
	}
	for _, corpus := range corpora {
		counts, err := countPieces(texts(corpus...))
		require.NoError(t, err)
		require.Equal(t, naiveRules(corpus, 1<<20), newLearner(counts).learn(1<<20))
	}
}

func TestTrainingDoesNotDependOnTheOrderOfTexts(t *testing.T) {
	lines := strings.SplitAfter(prose, "\n")
	first, err := Train(texts(lines...), 300)
	require.NoError(t, err)
	slices.Reverse(lines)
	second, err := Train(texts(lines...), 300)
	require.NoError(t, err)
	require.Equal(t, first.Hash(), second.Hash())
	require.Equal(t, 300, first.VocabSize())
}

func TestBytesHaveTheirOwnValuesAsIds(t *testing.T) {
	tok, err := Train(texts(), 265)
	require.NoError(t, err)
	require.Equal(t, []int32{0xE2, 0x82, 0xAC, ' ', 'a', 0xFF}, tok.Encode("€ a\xff"))
	require.Equal(t, int32(256), tok.BOS())
}

func TestTrainErrors(t *testing.T) {
	broken := errors.New("disk on fire")
	failing := func(yield func(string, error) bool) {
		if yield("some text", nil) {
			yield("", broken)
		}
	}
	cases := []struct {
		name  string
		texts iter.Seq2[string, error]
		vocab int
		want  string
	}{
		{"a vocabulary below the minimum names it", texts(prose), 264,
			"train tokenizer: vocabulary of 264 is too small: 256 bytes and 9 special tokens need at least 265"},
		{"a negative vocabulary names the minimum", texts(prose), -1,
			"train tokenizer: vocabulary of -1 is too small: 256 bytes and 9 special tokens need at least 265"},
		{"a vocabulary beyond 32 bits is refused", texts(prose), 1 << 40,
			"train tokenizer: vocabulary of 1099511627776 does not fit 32-bit ids; the largest is 2147483647"},
		{"a corpus too small says how many merges it allows", texts("abab abab"), 300,
			"train tokenizer: the corpus allows only 3 merges and a vocabulary of 300 needs 35; give more text or a vocabulary of at most 268"},
		{"a corpus too small for a huge vocabulary is refused without reserving memory", texts(), 1<<31 - 1,
			"train tokenizer: the corpus allows only 0 merges and a vocabulary of 2147483647 needs 2147483382; give more text or a vocabulary of at most 265"},
		{"an error from the texts is returned", failing, 300,
			"train tokenizer: read texts: disk on fire"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := Train(c.texts, c.vocab)
			require.EqualError(t, err, c.want)
		})
	}
	_, err := Train(failing, 300)
	require.ErrorIs(t, err, broken)
}
