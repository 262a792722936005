package data

import (
	"fmt"
)

// MaskedState is the place of a MaskedBatches between two batches, as plain JSON.
type MaskedState struct {
	Content string `json:"content"` // Masked.Content
	Context int    `json:"context"`
	Batch   int    `json:"batch"`
	Seed    uint64 `json:"seed"`
	Loop    bool   `json:"loop"`

	Epoch   int     `json:"epoch"`
	Cursor  int64   `json:"cursor"`  // documents of the epoch taken up so far
	Waiting []int64 `json:"waiting"` // of those, the ones not placed, in order
	Stats   Stats   `json:"stats"`
}

// State is where the next batch begins. A new MaskedBatches of the same documents and options, once it has Restored it,
// gives the same batches from here on.
func (b *MaskedBatches) State() MaskedState {
	s := b.identity()
	s.Epoch, s.Cursor, s.Stats = b.epoch, b.cursor, b.stats
	s.Waiting = []int64{}
	for _, p := range b.waiting.inOrder() {
		s.Waiting = append(s.Waiting, p.document)
	}
	return s
}

// identity is a MaskedState with all that must be the same for it to be restored.
func (b *MaskedBatches) identity() MaskedState {
	return MaskedState{Content: b.masked.Content(), Context: b.masked.context, Batch: b.options.Batch, Seed: b.options.Seed, Loop: b.options.Loop}
}

// Restore goes to the place that s describes. A state of other documents or options is refused, and b stays where it was.
func (b *MaskedBatches) Restore(s MaskedState) error {
	var wrong differences
	own := b.identity()
	wrong.compare("context", s.Context, own.Context)
	wrong.compare("batch", s.Batch, own.Batch)
	wrong.compare("seed", s.Seed, own.Seed)
	wrong.compare("loop", s.Loop, own.Loop)
	documents := int64(len(b.masked.documents))
	if err := wrong.err(); err != nil {
		return fmt.Errorf("restore the data position: %w", err)
	}
	switch {
	case s.Content != own.Content:
		return fmt.Errorf("restore the data position: it was saved with other documents or another tokenizer; use those of the run or start a new run")
	case s.Epoch < 0 || s.Cursor < 0 || s.Cursor > documents || len(s.Waiting) > maskedBuffer:
		return fmt.Errorf("restore the data position: epoch %d, document %d of %d and %d waiting make no sense; the state is damaged, take an earlier checkpoint",
			s.Epoch, s.Cursor, documents, len(s.Waiting))
	}
	for _, document := range s.Waiting {
		if document < 0 || document >= documents {
			return fmt.Errorf("restore the data position: document %d of %d; the state is damaged, take an earlier checkpoint", document, documents)
		}
	}
	b.startEpoch(s.Epoch)
	b.cursor, b.stats = s.Cursor, s.Stats
	b.waiting = newWaiting(b.masked.context + 1)
	for _, document := range s.Waiting {
		b.wait(document)
	}
	return nil
}
