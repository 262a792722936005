package data

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
)

// Masked is documents in memory of which only some tokens are to be learned: conversations, where these are the
// assistant's. They are packed whole; none is ever cut. It is for one goroutine.
type Masked struct {
	bos     int32
	context int
	// documents holds the tokens of each, those that are not to be learned as their bitwise complement, which is
	// negative: a corpus of some hundred million tokens has to fit.
	documents [][]int32
	tokens    int64
	targets   int64
	digest    hash.Hash
}

// Why Add refuses a document.
var (
	ErrTooLong  = errors.New("too long")
	ErrNoTarget = errors.New("nothing to learn")
)

// NewMasked is an empty set for rows of so many positions. Every document begins with bos.
func NewMasked(bos int32, context int) *Masked {
	return &Masked{bos: bos, context: context, digest: sha256.New()}
}

// Add takes a document up; learn says for each token whether a model is trained to predict it from those before. The
// error wraps ErrTooLong if the document does not fit a row, and ErrNoTarget if nothing in it is to be learned: a batch
// of such documents alone would have no loss.
func (m *Masked) Add(tokens []int32, learn []bool) error {
	switch {
	case len(tokens) == 0 || tokens[0] != m.bos || len(learn) != len(tokens):
		return fmt.Errorf("add a document of %d tokens with %d marks: it must begin with token %d and have a mark for each", len(tokens), len(learn), m.bos)
	case len(tokens) > m.context+1: // the last token is only a target
		return fmt.Errorf("%w: it has %d tokens and a row holds %d", ErrTooLong, len(tokens), m.context+1)
	}
	document := make([]int32, len(tokens))
	targets := int64(0)
	for i, token := range tokens {
		if document[i] = ^token; learn[i] && i > 0 {
			document[i] = token
			targets++
		}
	}
	if targets == 0 {
		return fmt.Errorf("%w: none of its %d tokens is", ErrNoTarget, len(tokens))
	}
	m.documents = append(m.documents, document)
	m.tokens += int64(len(tokens))
	m.targets += targets
	return binary.Write(m.digest, binary.LittleEndian, document) // a hash takes whatever is written
}

// Documents is the number of documents.
func (m *Masked) Documents() int { return len(m.documents) }

// Tokens is the number of tokens, a BOS a document included.
func (m *Masked) Tokens() int64 { return m.tokens }

// Targets is the number of tokens that are to be learned.
func (m *Masked) Targets() int64 { return m.targets }

// Content identifies the documents: sets with the same give the same batches.
func (m *Masked) Content() string { return hex.EncodeToString(m.digest.Sum(nil)) }

// place writes a document at the start of row; targets gets the tokens that are to be learned, and -1 for the others.
func (m *Masked) place(document int64, row, targets []int32) {
	for i, token := range m.documents[document] {
		if row[i], targets[i] = token, token; token < 0 {
			row[i], targets[i] = ^token, -1
		}
	}
}
