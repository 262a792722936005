package generate

import (
	"fmt"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"tandem/xla"
)

// maxStops is how many stop tokens a request may have (S).
const maxStops = 16

// controls are the nodes that steer a batch of rows beside the model's state.
type controls struct {
	// Fixed while the rows stay the same.
	optionsBF *Node // Sampling as columns, float32
	seedB2    *Node // low and high words, uint32
	stopsBS   *Node // stop tokens, int32, padded with -1
	// Changed by every token.
	tokenB    *Node // the token to feed next, int32
	positionB *Node // of the token to be drawn, in its row's whole history, int32
	leftB     *Node // tokens that may still be drawn; 0 freezes the row, int32
	seenBV    *Node // tokens that the row holds, bool

	limited bool // see stepKey
	// slowSums tells that the backend sums slowly and multiplies matrices fast: the Go backend walks every element of a
	// sum with an iterator.
	slowSums bool
}

// fixedControls and movingControls are the numbers of both.
const (
	fixedControls  = 3
	movingControls = 4
)

func controlsOf(nodes []*Node) controls {
	return controls{
		optionsBF: nodes[0], seedB2: nodes[1], stopsBS: nodes[2],
		tokenB: nodes[3], positionB: nodes[4], leftB: nodes[5], seenBV: nodes[6],
	}
}

func (c controls) moving() []*Node { return []*Node{c.tokenB, c.positionB, c.leftB, c.seenBV} }

// controlInputs declares the controls of a batch.
func (e *Engine) controlInputs(rows int) []xla.Input {
	vocab := e.model.Config.Vocab
	return []xla.Input{
		{Name: "options", Shape: shapes.Make(dtypes.Float32, rows, optionCount)},
		{Name: "seed", Shape: shapes.Make(dtypes.Uint32, rows, 2)},
		{Name: "stops", Shape: shapes.Make(dtypes.Int32, rows, maxStops)},
		{Name: "token", Shape: shapes.Make(dtypes.Int32, rows), Donate: true},
		{Name: "at", Shape: shapes.Make(dtypes.Int32, rows), Donate: true},
		{Name: "left", Shape: shapes.Make(dtypes.Int32, rows), Donate: true},
		{Name: "seen", Shape: shapes.Make(dtypes.Bool, rows, vocab), Donate: true},
	}
}

// stepKey says what a compiled step is for.
type stepKey struct {
	rows int
	// limited steps apply top-k and top-p, which cost many passes over the vocabulary. Rows that use neither get the same
	// tokens from both.
	limited bool
}

func (k stepKey) name() string {
	if k.limited {
		return fmt.Sprintf("step of %d rows with top-k and top-p", k.rows)
	}
	return fmt.Sprintf("step of %d rows", k.rows)
}

// stepFor chooses the step of a batch: a limited one where a row needs it, or where it is compiled and the other is not.
func (e *Engine) stepFor(size int, rows []*row) stepKey {
	for _, r := range rows {
		if r != nil && r.Sampling.limited() {
			return stepKey{size, true}
		}
	}
	plain, limited := stepKey{size, false}, stepKey{size, true}
	if e.programs[plain.name()] == nil && e.programs[limited.name()] != nil {
		return limited
	}
	return plain
}

// stepProgram draws up to TokensPerTrip tokens for each of a batch's rows. It takes weights, state and controls, and
// gives the tokens, int32 [B,K] with -1 where a row was frozen, their log-probabilities, float32 [B,K], the moving
// controls and the state.
func (e *Engine) stepProgram(key stepKey) (*xla.Program, error) {
	inputs := append(e.weightInputs(), e.stateInputs(key.rows, true)...)
	inputs = append(inputs, e.controlInputs(key.rows)...)
	return e.compiled(key.name(), inputs, func(g *Graph, nodes []*Node) []*Node {
		weights, nodes := nodes[:len(e.weights)], nodes[len(e.weights):]
		border := len(nodes) - fixedControls - movingControls
		state, c := nodes[:border], controlsOf(nodes[border:])
		c.limited, c.slowSums = key.limited, e.device.Kind == "go"
		d := decoder{trip: e.options.TokensPerTrip, weights: weights, extend: e.extend}
		if d.trip == 1 || e.device.Kind == "go" {
			return d.unrolled(c, state)
		}
		return d.loop(g, c, state)
	})
}
