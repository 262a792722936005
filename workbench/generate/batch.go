package generate

import (
	"github.com/gomlx/gomlx/core/tensors"
)

// batch is the rows that are decoded together. Its size is a power of two; slots without a row are frozen.
type batch struct {
	rows   []*row // by slot, nil where free
	state  *state
	fixed  []*tensors.Tensor // controls that stay while the rows do
	moving []*tensors.Tensor // controls that a step replaces
}

// live is the number of rows.
func (b *batch) live() (count int) {
	for _, r := range b.rows {
		if r != nil {
			count++
		}
	}
	return count
}

// changed drops the controls; the next step makes them from the rows.
func (b *batch) changed() {
	free(b.fixed)
	free(b.moving)
	b.fixed, b.moving = nil, nil
}

// sizeFor is the smallest batch for so many rows.
func sizeFor(rows int) int {
	size := 1
	for size < rows {
		size *= 2
	}
	return size
}

// join puts rows that have been fed into the batch, which takes over their states.
func (e *Engine) join(rows []*row) error {
	b := &e.batch
	b.changed()
	size := max(len(b.rows), sizeFor(b.live()+len(rows)))
	for _, r := range rows {
		if b.state == nil {
			b.state, b.rows, r.state = r.state, []*row{r}, nil
		}
		if err := e.resize(size); err != nil {
			return err
		}
		if r.state == nil {
			continue
		}
		slot := 0
		for b.rows[slot] != nil {
			slot++
		}
		if err := e.put(b.state, slot, r.state); err != nil {
			return err
		}
		e.release(r.state)
		b.rows[slot], r.state = r, nil
	}
	return nil
}

// resize moves the rows to a batch of another size. Slots without a row get a copy of some row, to be overwritten.
func (e *Engine) resize(size int) error {
	b := &e.batch
	if size == len(b.rows) {
		return nil
	}
	b.changed()
	rows, from := make([]*row, size), make([]int, size)
	slot := 0
	for i, r := range b.rows {
		if r != nil {
			rows[slot], from[slot] = r, i
			slot++
		}
	}
	next, err := e.pick(b.state, from)
	if err != nil {
		return err
	}
	e.release(b.state)
	b.state, b.rows = next, rows
	return nil
}

// shrink makes the batch smaller where few rows are left. It does not compile a step for that unless three of four slots
// are free.
func (e *Engine) shrink() error {
	size := sizeFor(e.batch.live())
	if size == len(e.batch.rows) {
		return nil
	}
	if ready := e.programs[e.stepFor(size, e.batch.rows).name()]; ready == nil && size*4 > len(e.batch.rows) {
		return nil
	}
	return e.resize(size)
}

// leave takes a row out of the batch, and with keep copies its state out first. The last row takes the state with it.
func (e *Engine) leave(slot int, keep bool) (own *state, err error) {
	b := &e.batch
	if keep && len(b.rows) > 1 {
		own, err = e.pick(b.state, []int{slot})
	}
	b.rows[slot] = nil
	b.changed()
	if b.live() > 0 {
		return own, err
	}
	if keep && len(b.rows) == 1 {
		own = b.state
	} else {
		e.release(b.state)
	}
	b.state, b.rows = nil, nil
	return own, err
}

// uploadControls makes the controls from what the host knows of the rows.
func (e *Engine) uploadControls() {
	b, size, vocab := &e.batch, len(e.batch.rows), e.model.Config.Vocab
	options, seeds, stops := make([]float32, size*optionCount), make([]uint32, size*2), make([]int32, size*maxStops)
	token, at, left := make([]int32, size), make([]int32, size), make([]int32, size)
	seen := make([]bool, size*vocab)
	for i := range stops {
		stops[i] = -1
	}
	for i, r := range b.rows {
		if r == nil {
			continue
		}
		columns := r.Sampling.row()
		copy(options[i*optionCount:], columns[:])
		seeds[2*i], seeds[2*i+1] = uint32(r.Sampling.Seed), uint32(r.Sampling.Seed>>32)
		copy(stops[i*maxStops:], r.Stop)
		token[i], at[i], left[i] = r.history[len(r.history)-1], int32(len(r.history)), int32(e.room(r))
		for _, id := range r.history {
			seen[i*vocab+int(id)] = true
		}
	}
	b.fixed = []*tensors.Tensor{
		tensors.FromFlatDataAndDimensions(options, size, optionCount),
		tensors.FromFlatDataAndDimensions(seeds, size, 2),
		tensors.FromFlatDataAndDimensions(stops, size, maxStops),
	}
	b.moving = []*tensors.Tensor{
		tensors.FromFlatDataAndDimensions(token, size),
		tensors.FromFlatDataAndDimensions(at, size),
		tensors.FromFlatDataAndDimensions(left, size),
		tensors.FromFlatDataAndDimensions(seen, size, vocab),
	}
}
