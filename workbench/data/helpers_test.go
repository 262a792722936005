package data

import (
	"errors"
	"io"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// byteEncoder has an id for each byte, and BOS.
type byteEncoder struct{}

func (byteEncoder) AppendEncode(dst []int32, text string) []int32 {
	for _, b := range []byte(text) {
		dst = append(dst, int32(b))
	}
	return dst
}
func (byteEncoder) BOS() int32     { return 256 }
func (byteEncoder) VocabSize() int { return 257 }
func (byteEncoder) Hash() string   { return "bytes" }

// rareEncoder gives every byte of every document of a listCorpus a token of its
// own, so that a test can tell where each token of a batch comes from.
type rareEncoder struct {
	firsts map[string]int32 // by text
	size   int
}

func newRareEncoder(texts []string) *rareEncoder {
	e := &rareEncoder{firsts: make(map[string]int32), size: 1}
	for _, text := range texts {
		e.firsts[text] = int32(e.size)
		e.size += len(text)
	}
	return e
}

func (e *rareEncoder) AppendEncode(dst []int32, text string) []int32 {
	for i := range len(text) {
		dst = append(dst, e.firsts[text]+int32(i))
	}
	return dst
}
func (e *rareEncoder) BOS() int32     { return 0 }
func (e *rareEncoder) VocabSize() int { return e.size }
func (e *rareEncoder) Hash() string   { return "rare" }

// listCorpus is a corpus in memory.
type listCorpus struct {
	texts       []string
	fingerprint string
	failAt      int // the document at which reading fails, if above 0
}

func (c *listCorpus) Name() string { return "list" }
func (c *listCorpus) Fingerprint() (string, error) {
	return c.fingerprint, nil
}
func (c *listCorpus) Documents() iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for i, text := range c.texts {
			var err error
			if c.failAt > 0 && i >= c.failAt {
				err = errors.New("the disk is on fire")
			}
			if !yield(text, err) || err != nil {
				return
			}
		}
	}
}

// randomTexts makes count different texts of 1 to longest bytes, short ones being likelier.
func randomTexts(r *rand.Rand, count, longest int) []string {
	texts := make([]string, 0, count)
	seen := make(map[string]bool)
	for len(texts) < count {
		text := make([]byte, 1+r.IntN(1+r.IntN(longest)))
		for i := range text {
			text[i] = byte('a' + r.IntN(26))
		}
		if !seen[string(text)] {
			seen[string(text)] = true
			texts = append(texts, string(text))
		}
	}
	return texts
}

func tokenize(t testing.TB, c Corpus, enc Encoder) *Shards {
	t.Helper()
	s, err := Tokenize(t.Context(), c, enc, t.TempDir(), nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func collect(t testing.TB, c Corpus) []string {
	t.Helper()
	var texts []string
	for text, err := range c.Documents() {
		require.NoError(t, err)
		texts = append(texts, text)
	}
	return texts
}

func writeFile(t testing.TB, text string, path ...string) string {
	t.Helper()
	name := filepath.Join(path...)
	require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o777))
	require.NoError(t, os.WriteFile(name, []byte(text), 0o666))
	return name
}

// requireLine checks that err is one line that holds all of parts.
func requireLine(t testing.TB, err error, parts ...string) {
	t.Helper()
	require.Error(t, err)
	require.NotContains(t, err.Error(), "\n")
	for _, part := range parts {
		require.Contains(t, err.Error(), part)
	}
}

// take gives the next n batches, fewer at the end.
func take(t testing.TB, b *Batches, n int) []*Batch {
	t.Helper()
	batches := []*Batch{}
	for range n {
		batch, err := b.Next()
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		batches = append(batches, batch)
	}
	return batches
}

func paragraphs(count int, size int) string {
	return strings.Repeat(strings.Repeat("word ", size/5)+"\n\n", count)
}
