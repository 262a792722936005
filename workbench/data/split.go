package data

import (
	"errors"
	"hash/fnv"
	"io"
	"iter"
)

// Split is a part of a corpus.
type Split string

// The two splits. They do not overlap and together are the whole corpus.
const (
	Train      Split = "train"
	Validation Split = "validation"
)

// ValidationShare says how many documents go to one of Validation: 1 in 20.
const ValidationShare = 20

// ErrEmptySplit is wrapped by the error of NewBatches when no document of the
// corpus falls in the split.
var ErrEmptySplit = errors.New("empty split")

// SplitOf says where a document belongs. Only its text decides, so that it
// stays there when the corpus grows or is reordered, and the copies of a
// document are never on both sides.
func SplitOf(text string) Split {
	h := fnv.New64a()
	io.WriteString(h, text)
	if mix(h.Sum64())%ValidationShare == 0 {
		return Validation
	}
	return Train
}

// Texts streams the documents of c that are in split, as for training a tokenizer.
func Texts(c Corpus, split Split) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for text, err := range c.Documents() {
			if err == nil && SplitOf(text) != split {
				continue
			}
			if !yield(text, err) || err != nil {
				return
			}
		}
	}
}
