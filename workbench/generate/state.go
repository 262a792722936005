package generate

import (
	"fmt"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"tandem/models"
	"tandem/xla"
)

// state is the decoding state of some rows on the device: the tensors of models.Model.State, each with the rows as its
// first axis, which is all that is assumed of them.
type state struct {
	tensors []*tensors.Tensor
	rows    int
}

// newState counts a state's bytes from here on.
func (e *Engine) newState(list []*tensors.Tensor, rows int) *state {
	e.liveRows.Add(int64(rows))
	return &state{list, rows}
}

// release frees a state; nil is none.
func (e *Engine) release(s *state) {
	if s == nil {
		return
	}
	free(s.tensors)
	e.liveRows.Add(-int64(s.rows))
}

// free gives tensors back. It fails only on a backend that is gone, and with that so are they.
func free(list []*tensors.Tensor) {
	for _, tensor := range list {
		_ = tensor.FinalizeAll()
	}
}

// RowBytes is the size of one row's state: its key/value caches at full capacity and its recurrent states.
func (e *Engine) RowBytes() int64 {
	return stateBytes(e.model.State(1, e.options.Capacity, e.device.Compute))
}

func stateBytes(declared []models.StateTensor) (bytes int64) {
	for _, tensor := range declared {
		bytes += int64(shapes.Make(tensor.DType, tensor.Shape...).ByteSize())
	}
	return bytes
}

// StateBytes is what all decoding states on the device take now: the batch, free rows of it included, prompts being fed,
// and snapshots not yet released.
func (e *Engine) StateBytes() int64 { return e.liveRows.Load() * e.RowBytes() }

// grows says whether the state of a row depends on its capacity. If not, a row may go on for ever.
func (e *Engine) grows() bool {
	at := func(capacity int) int64 { return stateBytes(e.model.State(1, capacity, e.device.Compute)) }
	return at(1) != at(2)
}

// emptyRow makes the state of one row that has been fed nothing.
func (e *Engine) emptyRow() (*state, error) {
	// The argument keeps the outputs from being one shared constant.
	zero := xla.Input{Name: "zero", Shape: shapes.Make(dtypes.Int32)}
	declared := e.stateInputs(1, false)
	program, err := e.compiled("an empty row", []xla.Input{zero}, func(_ *Graph, nodes []*Node) []*Node {
		outputs := make([]*Node, len(declared))
		for i, tensor := range declared {
			outputs[i] = BroadcastToShape(ConvertDType(nodes[0], tensor.Shape.DType), tensor.Shape)
		}
		return outputs
	})
	if err != nil {
		return nil, err
	}
	outputs, err := runWith(program, tensors.FromScalar(int32(0)), nil)
	if err != nil {
		return nil, err
	}
	return e.newState(outputs, 1), nil
}

// pick makes a new state of some rows of another, which stays as it is.
func (e *Engine) pick(from *state, rows []int) (*state, error) {
	index := xla.Input{Name: "rows", Shape: shapes.Make(dtypes.Int32, len(rows), 1)}
	inputs := append([]xla.Input{index}, e.stateInputs(from.rows, false)...)
	name := fmt.Sprintf("choice of %d out of %d rows", len(rows), from.rows)
	program, err := e.compiled(name, inputs, func(_ *Graph, nodes []*Node) []*Node {
		outputs := make([]*Node, len(nodes)-1)
		for i := range outputs {
			outputs[i] = Gather(nodes[i+1], nodes[0])
		}
		return outputs
	})
	if err != nil {
		return nil, err
	}
	values := make([]int32, len(rows))
	for i, row := range rows {
		values[i] = int32(row)
	}
	outputs, err := runWith(program, tensors.FromFlatDataAndDimensions(values, len(rows), 1), from.tensors)
	if err != nil {
		return nil, err
	}
	return e.newState(outputs, len(rows)), nil
}

// put replaces one row of a batch's state by a state of one row, which stays as it is.
func (e *Engine) put(batch *state, slot int, row *state) error {
	at := xla.Input{Name: "slot", Shape: shapes.Make(dtypes.Int32)}
	inputs := append([]xla.Input{at}, e.stateInputs(batch.rows, true)...)
	single := e.stateInputs(1, false)
	for i := range single {
		single[i].Name = "row " + single[i].Name
	}
	name := fmt.Sprintf("replacement in %d rows", batch.rows)
	program, err := e.compiled(name, append(inputs, single...), func(_ *Graph, nodes []*Node) []*Node {
		all, one := nodes[1:1+len(single)], nodes[1+len(single):]
		outputs := make([]*Node, len(all))
		for i, tensor := range all {
			outputs[i] = xla.PutRow(tensor, one[i], nodes[0])
		}
		return outputs
	})
	if err != nil {
		return err
	}
	outputs, err := runWith(program, tensors.FromScalar(int32(slot)), append(append([]*tensors.Tensor{}, batch.tensors...), row.tensors...))
	batch.tensors = outputs
	return err
}

// runWith runs a program on one small argument from the host, which is freed, and tensors of the device.
func runWith(program *xla.Program, argument *tensors.Tensor, rest []*tensors.Tensor) ([]*tensors.Tensor, error) {
	defer free([]*tensors.Tensor{argument})
	return program.Run(append([]*tensors.Tensor{argument}, rest...)...)
}
