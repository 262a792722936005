package generate

import (
	"fmt"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"

	"tandem/xla"
)

// While the loop has nothing to do but to decode, it launches the next trip before it looks at the last one's tokens, so that
// the device does not wait for the host. The next trip needs nothing from the host: a row that has ended is frozen in it.
// Before rows come, go or move, all trips land.

// flight is a trip that was launched: the tokens that it draws, which may still be on their way.
type flight struct{ ids, logProbs *tensors.Tensor }

// launch begins a trip, which draws up to TokensPerTrip tokens for every row. The batch's state and moving controls are then
// those after it.
func (e *Engine) launch() (flight, error) {
	b := &e.batch
	program, err := e.stepProgram(e.stepFor(len(b.rows), b.rows))
	if err != nil {
		return flight{}, err
	}
	if b.fixed == nil {
		e.uploadControls()
	}
	var arguments []*tensors.Tensor
	for _, part := range [][]*tensors.Tensor{e.weights, b.state.tensors, b.fixed, b.moving} {
		arguments = append(arguments, part...)
	}
	outputs, err := program.Run(arguments...)
	if err != nil {
		return flight{}, err
	}
	b.moving, b.state.tensors = outputs[2:2+movingControls], outputs[2+movingControls:]
	return flight{outputs[0], outputs[1]}, nil
}

// land waits for the trip. It gives ids, -1 where a row was frozen, and log-probabilities, both by slot and token.
func (f flight) land() (ids []int32, logProbs []float32, err error) {
	defer f.free()
	if ids, err = tensors.CopyFlatData[int32](f.ids); err == nil {
		logProbs, err = tensors.CopyFlatData[float32](f.logProbs)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("generate: read tokens from the device: %w", xla.Late(err))
	}
	return ids, logProbs, nil
}

func (f flight) free() { free([]*tensors.Tensor{f.ids, f.logProbs}) }

// decode draws tokens for the batch. A step that fails has spent the state of all its rows: see loseBatch.
func (e *Engine) decode() {
	if len(e.flights) == 0 && e.batch.live() > 0 {
		if err := e.shrink(); err != nil {
			e.failBatch(err)
			return
		}
	}
	most := 1
	if e.onlyDecodes() {
		most = tripsAtOnce(e.device)
	}
	for len(e.flights) < most && e.flies() {
		next, err := e.launch()
		if err != nil {
			e.loseBatch(err)
			return
		}
		e.flights = append(e.flights, next)
	}
	if len(e.flights) > 0 {
		e.land()
	}
}

// tripsAtOnce is how many trips are launched before the first one's tokens are looked at; a variable for tests alone.
var tripsAtOnce = func(device *xla.Device) int {
	if device.RunsAhead() {
		return 2
	}
	return 1
}

// onlyDecodes tells whether there is nothing else to do: no prompt to feed, no request for which there is a row, no row of
// which the context has ended, and a batch.
func (e *Engine) onlyDecodes() bool {
	e.mu.Lock()
	waiting := len(e.queue)
	e.mu.Unlock()
	live := e.batch.live()
	return live > 0 && len(e.filling) == 0 && (waiting == 0 || live >= e.options.Rows) &&
		!slices.ContainsFunc(e.batch.rows, func(r *row) bool { return r != nil && r.ctx.Err() != nil })
}

// flies tells whether to launch a trip: some row has room for more than the trips before it draw, and the rows are still
// those of the controls.
func (e *Engine) flies() bool {
	if e.batch.fixed == nil && len(e.flights) > 0 {
		return false
	}
	return slices.ContainsFunc(e.batch.rows, func(r *row) bool {
		return r != nil && e.room(r) > len(e.flights)*e.options.TokensPerTrip
	})
}

// land takes the tokens of the oldest trip.
func (e *Engine) land() {
	oldest := e.flights[0]
	e.flights = e.flights[1:]
	ids, logProbs, err := oldest.land()
	if err != nil {
		e.loseBatch(err)
		return
	}
	for slot, r := range e.batch.rows {
		if r == nil {
			continue
		}
		trip := e.options.TokensPerTrip
		e.take(slot, r, ids[slot*trip:(slot+1)*trip], logProbs[slot*trip:])
	}
	if e.batch.live() == 0 {
		e.dropFlights()
	}
}

func (e *Engine) landAll() {
	for len(e.flights) > 0 {
		e.land()
	}
}

// dropFlights forgets trips of which no row is left.
func (e *Engine) dropFlights() {
	for _, flight := range e.flights {
		flight.free()
	}
	e.flights = nil
}
