package generate

import (
	"fmt"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"tandem/xla"
)

// Prompts are fed one row at a time, in chunks of a few fixed lengths, the last one padded: few programs serve every
// length, and a row's state cannot depend on its neighbours.

// begin gives a row that leaves the queue its state: a copy of its snapshot's, or an empty one.
func (e *Engine) begin(r *row) (err error) {
	if r.From != nil {
		r.start, r.fed = r.From.start, len(r.From.tokens)-r.From.start
	}
	if r.Overflow == OverflowSlide && len(r.history)-r.start > e.options.Capacity {
		e.slide(r)
	}
	if r.fed > 0 {
		r.state, err = r.From.copy()
	} else {
		r.state, err = e.emptyRow()
	}
	return err
}

// chunk is the length to feed next when left tokens remain: the longest that they fill, else the shortest that holds them.
func (o Options) chunk(left int) int {
	length := o.Chunks[0]
	for _, candidate := range o.Chunks {
		if candidate <= left {
			length = candidate
		}
	}
	return length
}

// feed feeds a row its next chunk of tokens.
func (e *Engine) feed(r *row) error {
	tokens := r.unfed()
	length := e.options.chunk(len(tokens))
	tokens = tokens[:min(length, len(tokens))]
	program, err := e.prefillProgram(length)
	if err != nil {
		return err
	}
	padded := make([]int32, length)
	copy(padded, tokens)
	small := []*tensors.Tensor{
		tensors.FromFlatDataAndDimensions(padded, 1, length),
		tensors.FromFlatDataAndDimensions([]int32{int32(len(tokens))}, 1),
	}
	defer free(small)
	arguments := append(append(append([]*tensors.Tensor{}, e.weights...), small...), r.state.tensors...)
	if r.state.tensors, err = program.Run(arguments...); err != nil {
		return err
	}
	r.fed += len(tokens)
	return nil
}

// prefillProgram feeds one row a chunk: weights, tokens [1,T], their number [1] and the state to the state after them.
func (e *Engine) prefillProgram(length int) (*xla.Program, error) {
	inputs := append(e.weightInputs(),
		xla.Input{Name: "tokens", Shape: shapes.Make(dtypes.Int32, 1, length)},
		xla.Input{Name: "length", Shape: shapes.Make(dtypes.Int32, 1)})
	inputs = append(inputs, e.stateInputs(1, true)...)
	count := len(e.weights)
	return e.compiled(fmt.Sprintf("feeding of %d tokens", length), inputs, func(_ *Graph, nodes []*Node) []*Node {
		_, next := e.extend(nodes[:count], nodes[count], nodes[count+1], nodes[count+2:])
		return next
	})
}
