package generate

import (
	"errors"
	"fmt"
	"slices"
)

// The loop of the engine, in turns:
//
//  1. requests whose context has ended leave;
//  2. waiting requests begin, as long as there are rows for them;
//  3. rows that have not been fed their prompt get a chunk: one row or group a turn while others are being decoded, so that
//     these keep going, else all until all are fed, so that they start in one batch;
//  4. fed rows join the batch;
//  5. the batch draws tokens; rows that are done leave.
//
// How 5 goes on without waiting for the host is told in flight.go.

// signal tells the loop that there is something to look at.
func (e *Engine) signal() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// run is the loop's goroutine.
func (e *Engine) run() {
	defer close(e.done)
	for {
		e.mu.Lock()
		waiting, closed := len(e.queue), e.closed
		e.mu.Unlock()
		if closed {
			e.shutDown()
			return
		}
		e.turn.Lock()
		if waiting+len(e.filling)+e.batch.live() == 0 {
			e.turn.Unlock()
			<-e.wake
			continue
		}
		e.dropWaiting()
		if !e.onlyDecodes() {
			e.landAll()
			e.dropCancelled()
			e.admit()
			e.feedAll()
		}
		e.decode()
		e.turn.Unlock()
	}
}

// shutDown ends every request and frees everything but the caller's weights.
func (e *Engine) shutDown() {
	e.turn.Lock()
	defer e.turn.Unlock()
	closed := fmt.Errorf("generate: %w", ErrClosed)
	e.failBatch(closed)
	for _, r := range e.filling {
		e.fail(r, closed)
	}
	e.mu.Lock()
	queue, snapshots := e.queue, e.snapshots
	e.queue, e.snapshots = nil, map[*Snapshot]bool{}
	e.mu.Unlock()
	for _, r := range queue {
		e.fail(r, closed)
	}
	for snapshot := range snapshots {
		snapshot.Release()
	}
	e.filling = nil
	free(e.own)
	for _, program := range e.programs {
		program.Close()
	}
}

// fail ends a row that is not in the batch.
func (e *Engine) fail(r *row, err error) {
	e.release(r.state)
	r.state = nil
	r.end(err)
}

// failBatch ends all rows of the batch.
func (e *Engine) failBatch(err error) {
	b := &e.batch
	e.dropFlights()
	for _, r := range b.rows {
		if r != nil {
			r.end(err)
		}
	}
	b.changed()
	e.release(b.state)
	b.state, b.rows = nil, nil
}

// loseBatch is for an error that has cost the batch its state: a program has spent it, and gave none or a spoiled one. Rows
// that have joined and not drawn yet are taken for the cause, for their prompts may have spoiled it, or they are too many for
// the device: they end with the error, and the others are fed again. Where there are no such rows all end, so that it comes
// to an end on a device that is broken.
func (e *Engine) loseBatch(err error) {
	var others []*row
	rows := e.batch.rows
	if slices.ContainsFunc(rows, func(r *row) bool { return r != nil && r.made == 0 }) {
		for slot, r := range rows {
			if r != nil && r.made > 0 {
				others, rows[slot] = append(others, r), nil
			}
		}
	}
	e.failBatch(err)
	for _, r := range others {
		r.fed = 0
		e.feedAgain(r)
	}
}

// dropWaiting ends the requests in the queue whose context has ended.
func (e *Engine) dropWaiting() {
	cancelled := func(r *row) bool { return r.ctx.Err() != nil }
	e.mu.Lock()
	var gone []*row
	if slices.ContainsFunc(e.queue, cancelled) {
		e.queue, gone = split(e.queue, cancelled)
	}
	e.mu.Unlock()
	for _, r := range gone {
		e.fail(r, r.ctx.Err())
	}
}

// dropCancelled ends the rows whose context has ended. Those that asked for it keep their state.
func (e *Engine) dropCancelled() {
	var gone []*row
	e.filling, gone = split(e.filling, func(r *row) bool { return r.ctx.Err() != nil })
	for _, r := range gone {
		if r.Keep {
			r.kept, r.state = e.keep(r, r.state), nil
		}
		e.fail(r, r.ctx.Err())
	}
	for slot, r := range e.batch.rows {
		if r != nil && r.ctx.Err() != nil {
			e.finish(slot, r.ctx.Err())
		}
	}
}

// split parts rows, in order.
func split(rows []*row, out func(*row) bool) (stay, leave []*row) {
	for _, r := range rows {
		if out(r) {
			leave = append(leave, r)
		} else {
			stay = append(stay, r)
		}
	}
	return stay, leave
}

// finish takes a row out of the batch and ends it; err is nil if it is done.
func (e *Engine) finish(slot int, err error) {
	r := e.batch.rows[slot]
	own, keepErr := e.leave(slot, r.Keep)
	if own != nil {
		r.kept = e.keep(r, own)
	}
	r.end(errors.Join(err, keepErr))
}

// admit begins waiting requests while there are rows for them.
func (e *Engine) admit() {
	for len(e.filling)+e.batch.live() < e.options.Rows {
		e.mu.Lock()
		if len(e.queue) == 0 {
			e.mu.Unlock()
			return
		}
		r := e.queue[0]
		e.queue = e.queue[1:]
		e.mu.Unlock()
		if err := e.begin(r); err != nil {
			e.fail(r, err)
			continue
		}
		e.filling = append(e.filling, r)
	}
}

// feedAll feeds prompts, and lets rows that are through join the batch.
func (e *Engine) feedAll() {
	decoding := e.batch.live() > 0
	for _, rows := range e.groups(decoding) {
		if err := e.feed(rows); err != nil {
			for _, r := range rows {
				e.fail(r, err)
			}
		}
	}
	e.filling, _ = split(e.filling, func(r *row) bool { return r.state == nil }) // those that failed
	ready, still := split(e.filling, func(r *row) bool { return len(r.unfed()) > 0 })
	e.filling = still
	if len(ready) == 0 {
		return
	}
	if !decoding && len(still) > 0 {
		e.filling = append(ready, still...)
		return
	}
	if err := e.join(ready); err != nil {
		for _, r := range ready {
			if r.state != nil { // those that did not get in share the fate of those that did
				e.release(r.state)
				r.state = nil
				e.batch.rows = append(e.batch.rows, r)
			}
		}
		e.loseBatch(err)
	}
}

// take hands a row what a trip drew for it, and moves it on if it is done or full.
func (e *Engine) take(slot int, r *row, ids []int32, logProbs []float32) {
	var finish string
	var full bool
	var err error
	for i, id := range ids {
		if id < 0 || full || finish != "" || err != nil {
			break
		}
		finish, full, err = e.accept(r, id, logProbs[i])
	}
	r.inbox.send(r.news)
	r.news = r.news[:0]
	switch {
	case err != nil:
		r.Keep = false
		e.finish(slot, err)
	case finish != "":
		e.finish(slot, nil)
	case full:
		e.refill(slot, r)
	}
}

// refill takes a full row out of the batch to be fed again without its oldest tokens.
func (e *Engine) refill(slot int, r *row) {
	_, _ = e.leave(slot, false) // copies nothing out, so it cannot fail
	e.slide(r)
	e.feedAgain(r)
}

// feedAgain lets a row without a state wait to be fed its tokens from the first that it still knows.
func (e *Engine) feedAgain(r *row) {
	var err error
	if r.state, err = e.emptyRow(); err != nil {
		e.fail(r, err)
		return
	}
	e.filling = append(e.filling, r)
}
