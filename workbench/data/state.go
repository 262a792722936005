package data

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// State is the place of a Batches between two batches: small, and plain JSON.
// The order of documents is computed from seed and epoch, so there is no
// generator to save.
type State struct {
	Content    string `json:"content"` // Shards.Content
	Vocabulary int    `json:"vocabulary"`
	Split      Split  `json:"split"`
	Batch      int    `json:"batch"`
	Time       int    `json:"time"`
	Seed       uint64 `json:"seed"`
	Buffer     int    `json:"buffer"`
	Loop       bool   `json:"loop"`

	Epoch  int   `json:"epoch"`
	Cursor int64 `json:"cursor"` // documents of the epoch taken up so far
	// Parts are the places in the parts of a mixture; Cursor is then 0.
	Parts []PartState `json:"parts,omitempty"`
	// Waiting are the documents taken up and not wholly placed, in order: the
	// number of each and its first token not yet placed.
	Waiting [][2]int64 `json:"waiting"`
	Stats   Stats      `json:"stats"`
}

// State is where the next batch begins. A new Batches of the same shards and
// options, once it has Restored it, gives the same batches from here on.
func (b *Batches) State() (State, error) {
	if b.err != nil && b.err != io.EOF {
		return State{}, fmt.Errorf("save the data position: the iterator failed within a batch: %w; resume from an earlier checkpoint", b.err)
	}
	s := b.identity()
	parts := b.packer.order.parts
	s.Epoch, s.Stats = b.packer.order.epoch(), b.Stats()
	if len(parts) == 1 {
		s.Cursor = parts[0].Cursor
	} else {
		for _, part := range parts {
			s.Parts = append(s.Parts, part.PartState)
		}
	}
	s.Waiting = [][2]int64{}
	for _, p := range b.packer.waiting.inOrder() {
		s.Waiting = append(s.Waiting, [2]int64{p.document, int64(p.from)})
	}
	return s, nil
}

// identity is a State with all that must be the same for it to be restored.
func (b *Batches) identity() State {
	o := b.options
	return State{
		Content: b.content, Vocabulary: b.shards.VocabSize(),
		Split: o.Split, Batch: o.Batch, Time: o.Time, Seed: o.Seed, Buffer: o.Buffer, Loop: o.Loop,
	}
}

// Restore goes to the place that s describes. A State of other text, another
// tokenizer or other options is refused, and b stays where it was.
func (b *Batches) Restore(s State) error {
	if err := b.restore(s); err != nil {
		return fmt.Errorf("restore the data position: %w", err)
	}
	return nil
}

func (b *Batches) restore(s State) error {
	if err := b.sameAs(s); err != nil {
		return err
	}
	p := newPacker(b.shards, b.options)
	places := s.Parts
	if len(p.order.parts) == 1 {
		places = []PartState{{Epoch: s.Epoch, Cursor: s.Cursor}}
	}
	if len(places) != len(p.order.parts) || len(s.Waiting) > s.Buffer {
		return fmt.Errorf("%d parts and %d waiting make no sense; the state is damaged, take an earlier checkpoint", len(places), len(s.Waiting))
	}
	for i, place := range places {
		documents := p.order.parts[i].documents
		if place.Epoch < 0 || place.Tokens < 0 || place.Cursor < 0 || place.Cursor > documents {
			return fmt.Errorf("epoch %d and document %d of %d make no sense; the state is damaged, take an earlier checkpoint", place.Epoch, place.Cursor, documents)
		}
		p.order.goTo(i, place)
	}
	p.stats = s.Stats
	p.stats.taken = s.Stats.Tokens + s.Stats.Dropped
	for _, w := range s.Waiting {
		piece, err := p.piece(w[0], int(w[1]))
		if err != nil {
			return fmt.Errorf("%w; the state is damaged, take an earlier checkpoint", err)
		}
		if w[1] < 1 || w[1] >= int64(piece.length) {
			return fmt.Errorf("token %d of document %d, which has %d; the state is damaged, take an earlier checkpoint", w[1], w[0], piece.length)
		}
		p.waiting.add(piece)
		p.stats.taken += int64(piece.length - piece.from)
	}
	b.packer, b.err = p, nil
	return nil
}

// differences are the settings in which a saved position is not that of here.
type differences []string

func (d *differences) compare(what string, saved, here any) {
	if saved != here {
		*d = append(*d, fmt.Sprintf("%s %v, here %v", what, saved, here))
	}
}

func (d differences) err() error {
	if len(d) == 0 {
		return nil
	}
	return fmt.Errorf("it was saved with %s; use the saved settings or start a new run", strings.Join(d, "; "))
}

// sameAs says how s is not of this corpus, tokenizer and options.
func (b *Batches) sameAs(s State) error {
	var wrong differences
	own := b.identity()
	wrong.compare("vocabulary", s.Vocabulary, own.Vocabulary)
	wrong.compare("split", s.Split, own.Split)
	wrong.compare("batch", s.Batch, own.Batch)
	wrong.compare("context", s.Time, own.Time)
	wrong.compare("seed", s.Seed, own.Seed)
	wrong.compare("buffer", s.Buffer, own.Buffer)
	wrong.compare("loop", s.Loop, own.Loop)
	if err := wrong.err(); err != nil {
		return err
	}
	if s.Content != own.Content {
		return errors.New("it was saved with other text or another tokenizer; use those of the run or start a new run")
	}
	return nil
}
