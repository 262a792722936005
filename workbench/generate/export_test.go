package generate

import "tandem/xla"

// TripsAtOnce has so many trips launched before the first one's tokens are looked at, until restore.
func TripsAtOnce(count int) (restore func()) {
	before := tripsAtOnce
	tripsAtOnce = func(*xla.Device) int { return count }
	return func() { tripsAtOnce = before }
}

// FedInGroups tells whether rows were fed a chunk of this length in groups.
func (e *Engine) FedInGroups(length int) bool {
	e.turn.Lock()
	defer e.turn.Unlock()
	return e.programs[prefillName(groupRows, length)] != nil
}

// GroupsFrom has rows fed in groups from so many that wait, until restore.
func GroupsFrom(count int) (restore func()) {
	before := worthCompiling
	worthCompiling = func(string) int { return count }
	return func() { worthCompiling = before }
}

// SpoilFlights has the trips in the air fail when they land, as on a device that ran out of memory; false if there are none
// with so many rows.
func (e *Engine) SpoilFlights(rows int) bool {
	e.turn.Lock()
	defer e.turn.Unlock()
	if e.batch.live() != rows {
		return false
	}
	for _, flight := range e.flights {
		flight.free()
	}
	return len(e.flights) > 0
}
