package train

import (
	"fmt"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"
)

// drawLimit is the batches without a target in a row that end a training.
const drawLimit = 100

// draw takes the next batch that has a target: without one there is no loss, only momentum.
func (l *Loop) draw() (Batch, error) {
	for skipped := 1; ; skipped++ {
		batch, err := l.ahead.take()
		if err != nil {
			return batch, err
		}
		for _, note := range batch.Notes {
			if err := l.event(l.Trainer.At(), note); err != nil {
				return batch, err
			}
		}
		if batch.hasTarget() {
			return batch, nil
		}
		if skipped == drawLimit {
			return batch, fmt.Errorf("%d batches in a row have no target; look at the data", skipped)
		}
		if err := l.event(l.Trainer.At(), "skipped a batch without a target"); err != nil {
			return batch, err
		}
	}
}

// hasTarget says whether there is anything to learn.
func (b Batch) hasTarget() bool {
	return slices.ContainsFunc(b.Targets, func(target int32) bool { return target >= 0 })
}

// shareOut makes each target of all batches count the same, for the mean over few targets must not weigh as much as that over many.
func shareOut(batches []Batch) []Batch {
	targets := 0
	for _, b := range batches {
		for _, target := range b.Targets {
			if target >= 0 {
				targets++
			}
		}
	}
	shared := slices.Clone(batches)
	for i, b := range shared {
		shared[i].Shares = make([]float32, len(b.Targets))
		for at, target := range b.Targets {
			if target >= 0 {
				shared[i].Shares[at] = 1 / float32(targets)
			}
		}
	}
	return shared
}

// upload makes the tensors of a batch, [rows, time] each.
func (b Batch) upload(rows, time int) []*tensors.Tensor {
	uploaded := []*tensors.Tensor{
		tensors.FromFlatDataAndDimensions(b.Tokens, rows, time),
		tensors.FromFlatDataAndDimensions(b.Targets, rows, time),
		tensors.FromFlatDataAndDimensions(b.Documents, rows, time),
	}
	if b.Shares != nil {
		uploaded = append(uploaded, tensors.FromFlatDataAndDimensions(b.Shares, rows, time))
	}
	return uploaded
}
