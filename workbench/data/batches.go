package data

import (
	"fmt"
	"io"
	"strings"
)

// BatchOptions says what batches to make.
type BatchOptions struct {
	Split  Split  // zero: Train
	Batch  int    // rows
	Time   int    // positions a row
	Seed   uint64 // of the order of documents when Loop
	Buffer int    // documents to choose from when packing; zero: 1000
	// Loop serves the split for ever, shuffled anew each epoch. Without it the
	// split is served once, in the order of the corpus, and the last batch is padded.
	Loop bool
}

// Batch is [Batch, Time] positions, row-major. It is the caller's to keep.
type Batch struct {
	Batch, Time int
	// Inputs are token ids. BOS begins every document and every row.
	Inputs []int32
	// Targets are the tokens that follow the inputs, or -1 where padding is
	// ignored. BOS as a target marks the end of a document.
	Targets []int32
	// Documents tells the documents of a row apart: 0 at its start, 1 more at
	// each BOS. Padding has a number of its own.
	Documents []int32
	// Epoch is the pass over the split, from 0, that the batch began in.
	// Of a mixture it is the pass that every part has begun.
	Epoch int
	// Began names the corpora that are used up, each time one begins anew while the batch is made.
	Began []string
}

// Batches iterates over the batches of a split. It is for one goroutine.
type Batches struct {
	shards  *Shards
	content string // of the shards
	options BatchOptions
	packer  *packer
	err     error // what ended it
}

const (
	defaultBuffer = 1000
	bufferMax     = 1 << 20
	positionsMax  = 1 << 30
)

// NewBatches checks that o can be served from s. The error wraps ErrEmptySplit
// when the split has no documents.
func NewBatches(s *Shards, o BatchOptions) (*Batches, error) {
	if o.Split == "" {
		o.Split = Train
	}
	if o.Buffer == 0 {
		o.Buffer = defaultBuffer
	}
	if err := o.check(s); err != nil {
		return nil, fmt.Errorf("make batches: %w", err)
	}
	return &Batches{shards: s, content: s.Content(), options: o, packer: newPacker(s, o)}, nil
}

func (o BatchOptions) check(s *Shards) error {
	switch {
	case o.Split != Train && o.Split != Validation:
		return fmt.Errorf("no split %q; give %s or %s", o.Split, Train, Validation)
	case o.Batch < 1 || o.Time < 1 || o.Batch > positionsMax/o.Time:
		return fmt.Errorf("batch %d of context %d; both must be at least 1, and their product at most %d", o.Batch, o.Time, positionsMax)
	case o.Buffer < 1 || o.Buffer > bufferMax:
		return fmt.Errorf("buffer of %d documents; give 1 to %d, or 0 for %d", o.Buffer, bufferMax, defaultBuffer)
	}
	documents, tokens := s.Documents(o.Split), s.Tokens(o.Split)
	var names []string
	for _, part := range s.Parts() {
		names = append(names, part.Name)
		if len(s.folders) > 1 && o.Split == Train && part.Documents[Train] == 0 {
			return fmt.Errorf("%w: part %q of the mixture has no document in train; give it more text or leave it out", ErrEmptySplit, part.Name)
		}
	}
	corpus := strings.Join(names, ", ")
	if documents == 0 {
		return fmt.Errorf("%w: none of the %d document(s) of corpus %q is in %s (validation gets about 1 in %d, train the rest); give more text, or the same text as more and shorter documents",
			ErrEmptySplit, s.Documents(Train)+s.Documents(Validation), corpus, o.Split, ValidationShare)
	}
	if need := int64(o.Batch) * int64(o.Time+1); o.Loop && tokens < need {
		return fmt.Errorf("corpus %q has %d tokens in %s, and one batch takes %d (%d rows of %d+1); give a smaller batch or context, or more text",
			corpus, tokens, o.Split, need, o.Batch, o.Time)
	}
	return nil
}

// Next makes the following batch. Without Loop it ends with io.EOF. After any
// other error, which is one of reading, every Next gives the same error; restore
// the last State to go on.
func (b *Batches) Next() (*Batch, error) {
	if b.err != nil {
		return nil, b.err
	}
	batch, err := b.next()
	if err != nil {
		if err != io.EOF {
			err = fmt.Errorf("make batch: %w", err)
		}
		b.err = err
		return nil, err
	}
	return batch, nil
}

func (b *Batches) next() (*Batch, error) {
	if err := b.packer.fill(); err != nil {
		return nil, err
	}
	if b.packer.waiting.count == 0 {
		return nil, io.EOF
	}
	rows, time := b.options.Batch, b.options.Time
	backing := make([]int32, 3*rows*time)
	batch := &Batch{
		Batch: rows, Time: time, Epoch: b.packer.order.epoch(),
		Inputs:    backing[:rows*time],
		Targets:   backing[rows*time : 2*rows*time],
		Documents: backing[2*rows*time:],
	}
	row, owners := make([]int32, time+1), make([]int32, time+1)
	for start := 0; start < rows*time; start += time {
		filled, err := b.packer.row(row, owners)
		if err != nil {
			return nil, err
		}
		pad(row[filled:], owners, filled, b.shards.BOS())
		copy(batch.Inputs[start:start+time], row)
		copy(batch.Documents[start:start+time], owners)
		copy(batch.Targets[start:start+time], row[1:])
		for i := max(0, filled-1); i < time; i++ {
			batch.Targets[start+i] = -1
		}
	}
	b.packer.stats.Batches++
	batch.Began, b.packer.order.began = b.packer.order.began, nil
	return batch, nil
}

// pad fills rest, the free end of a row, with BOS tokens of one further document.
func pad(rest, owners []int32, filled int, bos int32) {
	owner := int32(0)
	if filled > 0 {
		owner = owners[filled-1] + 1
	}
	for i := range rest {
		rest[i] = bos
		owners[filled+i] = owner
	}
}
