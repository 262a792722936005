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

// Spoil says at which step of a turn what the device holds is broken, as an error there would break it.
type Spoil string

const (
	SpoilNothing Spoil = ""
	SpoilJoin    Spoil = "join"   // the state of the newest row, which then joins
	SpoilLaunch  Spoil = "launch" // the state of the batch, before a trip
	SpoilTrip    Spoil = "trip"   // what a trip gives, which shows when it lands
)

// InTurns keeps the loop from running while do is, and lets do play its turns instead, each of which gives the number of rows
// in the batch.
func (e *Engine) InTurns(do func(turn func(Spoil) (live int))) {
	e.turn.Lock()
	defer e.turn.Unlock()
	do(func(spoil Spoil) int {
		e.landAll()
		e.admit()
		if spoil == SpoilJoin {
			free(e.filling[len(e.filling)-1].state.tensors)
		}
		e.feedAll()
		if e.batch.live() == 0 {
			return 0
		}
		if spoil == SpoilLaunch {
			free(e.batch.state.tensors)
		}
		trip, err := e.launch()
		if err != nil {
			e.loseBatch(err)
			return e.batch.live()
		}
		if spoil == SpoilTrip {
			trip.free()
		}
		e.flights = append(e.flights, trip)
		e.land()
		return e.batch.live()
	})
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
