package data

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// MaskedOptions says what batches to make of masked documents.
type MaskedOptions struct {
	Batch int    // rows
	Seed  uint64 // of the order of documents when Loop
	// Loop serves the documents for ever, shuffled anew each epoch. Without it they are served once, in their order, and
	// the last batch is padded.
	Loop bool
}

// MaskedBatches iterates over batches of whole documents. It is for one goroutine.
//
// A row has context+1 places, as in Batches. The document that has waited longest opens it; the longest that fits
// follows, again and again, chosen from maskedBuffer that wait; what no document fits is padding, and no target. The next
// epoch begins when nothing waits any more, within a row if it comes so.
type MaskedBatches struct {
	masked  *Masked
	options MaskedOptions

	epoch   int
	cursor  int64 // documents of the epoch that have been taken up
	order   shuffle
	waiting *waiting
	stats   Stats
}

// maskedBuffer is the documents to choose from. It is part of the state: never change it.
const maskedBuffer = 256

// Batches checks that o can be served.
func (m *Masked) Batches(o MaskedOptions) (*MaskedBatches, error) {
	if o.Batch < 1 || m.context < 1 || o.Batch > positionsMax/m.context {
		return nil, fmt.Errorf("make batches: batch %d of context %d; both must be at least 1, and their product at most %d", o.Batch, m.context, positionsMax)
	}
	if len(m.documents) == 0 {
		return nil, errors.New("make batches: there are no documents; give some that fit the context")
	}
	b := &MaskedBatches{masked: m, options: o, waiting: newWaiting(m.context + 1)}
	b.startEpoch(0)
	return b, nil
}

func (b *MaskedBatches) startEpoch(epoch int) {
	b.epoch, b.cursor = epoch, 0
	b.order = newShuffle(int64(len(b.masked.documents)), b.options.Seed, epoch)
}

// Next makes the following batch. Without Loop it ends with io.EOF, the only error there is.
func (b *MaskedBatches) Next() (*Batch, error) {
	rows, time := b.options.Batch, b.masked.context
	backing := make([]int32, 3*rows*time)
	batch := &Batch{Batch: rows, Time: time, Inputs: backing[:rows*time], Targets: backing[rows*time : 2*rows*time], Documents: backing[2*rows*time:]}
	row, targets, owners := make([]int32, time+1), make([]int32, time+1), make([]int32, time+1)
	for start := 0; start < rows*time; start += time {
		documents := b.row()
		if start == 0 {
			if len(documents) == 0 {
				return nil, io.EOF
			}
			batch.Epoch = b.epoch
		}
		filled := 0
		for owner, document := range documents {
			end := filled + len(b.masked.documents[document])
			b.masked.place(document, row[filled:end], targets[filled:end])
			for ; filled < end; filled++ {
				owners[filled] = int32(owner)
			}
		}
		pad(row[filled:], owners, filled, b.masked.bos)
		for i := filled; i <= time; i++ {
			targets[i] = -1
		}
		copy(batch.Inputs[start:start+time], row)
		copy(batch.Targets[start:start+time], targets[1:])
		copy(batch.Documents[start:start+time], owners)
	}
	b.stats.Batches++
	return batch, nil
}

// row chooses the documents of the next row: none at the end.
func (b *MaskedBatches) row() (documents []int64) {
	free := b.masked.context + 1
	for b.fill(); b.waiting.count > 0; b.fill() {
		var next *piece
		if len(documents) == 0 {
			next = b.waiting.oldest()
		} else if next = b.waiting.longestWithin(free); next == nil {
			break
		}
		documents = append(documents, next.document)
		free -= next.length
		b.stats.Tokens += int64(next.length - 1)
		b.stats.Documents++
	}
	if len(documents) == 0 {
		return nil
	}
	b.stats.Positions += int64(b.masked.context + 1)
	b.stats.Padding += int64(free)
	return documents
}

// fill sees to it that something waits, if anything is left at all.
func (b *MaskedBatches) fill() {
	documents := int64(len(b.masked.documents))
	if b.options.Loop && b.cursor == documents && b.waiting.count == 0 {
		b.startEpoch(b.epoch + 1)
	}
	for b.waiting.count < maskedBuffer && b.cursor < documents {
		document := b.cursor
		if b.options.Loop {
			document = b.order.at(document)
		}
		b.wait(document)
		b.cursor++
	}
}

func (b *MaskedBatches) wait(document int64) {
	b.waiting.add(&piece{document: document, length: len(b.masked.documents[document]), from: 1})
}

// Stats counts up to the last batch.
func (b *MaskedBatches) Stats() Stats { return b.stats }

// Steps counts the steps of so many rows each that serve every document epochs times; the last one may go beyond. It
// packs them all, which takes a second a few million, and ends early with ctx.
func (m *Masked) Steps(ctx context.Context, rows, epochs int, seed uint64) (int, error) {
	b, err := m.Batches(MaskedOptions{Batch: 1, Seed: seed, Loop: true})
	if err != nil {
		return 0, err
	}
	count := 0
	for b.stats.Documents < int64(epochs)*int64(len(m.documents)) {
		b.row()
		if count++; count%1024 == 0 && ctx.Err() != nil {
			return 0, ctx.Err()
		}
	}
	return (count + rows - 1) / rows, nil
}
