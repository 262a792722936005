package train

import (
	"encoding/json"
	"sync"
	"time"
)

// ahead draws batches in the background while the device works on those before, so that a step seldom waits for data.
// It keeps the position of the data after each batch: that of the last batch taken is what a checkpoint needs, however
// many more are drawn already.
type ahead struct {
	drawn   chan drawn
	stop    chan struct{}
	running sync.WaitGroup
	last    drawn
	waited  time.Duration // by take; the loop counts it and sets it to zero
}

// drawn is a batch and the position after it.
type drawn struct {
	batch   Batch
	err     error
	data    json.RawMessage
	dataErr error
}

// drawAhead begins to draw up to depth batches that nobody has asked for. next and data are called by nobody else until
// close returns.
func drawAhead(next func() (Batch, error), data func() (json.RawMessage, error), depth int) *ahead {
	a := &ahead{drawn: make(chan drawn, depth), stop: make(chan struct{})}
	a.last.data, a.last.dataErr = data()
	a.running.Go(func() {
		for {
			var d drawn
			if d.batch, d.err = next(); d.err == nil {
				d.data, d.dataErr = data()
			}
			select {
			case a.drawn <- d:
			case <-a.stop:
				return
			}
			if d.err != nil {
				return
			}
		}
	})
	return a
}

// take gives the next batch. After an error it gives the same error for ever.
func (a *ahead) take() (Batch, error) {
	if a.last.err == nil {
		start := time.Now()
		d := <-a.drawn
		a.waited += time.Since(start)
		if d.err != nil {
			d.data, d.dataErr = a.last.data, a.last.dataErr // nothing was taken
		}
		a.last = d
	}
	return a.last.batch, a.last.err
}

// position is the data's after the last batch taken.
func (a *ahead) position() (json.RawMessage, error) { return a.last.data, a.last.dataErr }

// close ends the drawing.
func (a *ahead) close() {
	close(a.stop)
	a.running.Wait()
}
