package generate

import (
	"errors"
	"fmt"
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"tandem/xla"
)

// Prompts are fed in chunks of a few fixed lengths, the last one padded, so that few programs serve every length: a row at a
// time, or groupRows together where so many wait for a chunk of the same length.

// groupRows is the rows of a group. Each of its states exists twice while it is fed.
const groupRows = 8

// worthCompiling is from how many waiting rows on groups are worth a program of their own, which takes XLA seconds; a variable
// for tests alone. On the Go backend a group takes no less time than its rows alone.
var worthCompiling = func(kind string) int {
	if kind == "go" {
		return math.MaxInt
	}
	return 64
}

// begin gives a row that leaves the queue its state: a copy of its snapshot's, or an empty one.
func (e *Engine) begin(r *row) (err error) {
	if e.weights == nil {
		return errors.New("generate: the engine has no weights, for the last SetWeights failed; call it again")
	}
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

// groups says which rows to feed now: while others are being decoded the first that waits, with its group if there is one,
// so that these keep going; else all.
func (e *Engine) groups(decoding bool) (groups [][]*row) {
	var lengths []int
	waiting := map[int][]*row{} // by length of their next chunk
	for _, r := range e.filling {
		if left := len(r.unfed()); left > 0 {
			length := e.options.chunk(left)
			if waiting[length] == nil {
				lengths = append(lengths, length)
			}
			waiting[length] = append(waiting[length], r)
		}
	}
	for _, length := range lengths {
		rows := waiting[length]
		size := 1
		if e.groupsRows(len(rows), length) {
			size = groupRows
		}
		for ; len(rows) > 0; rows = rows[size:] {
			if len(rows) < size {
				size = 1
			}
			groups = append(groups, rows[:size])
			if decoding {
				return groups
			}
		}
	}
	return groups
}

// groupsRows tells whether so many rows that wait for a chunk are fed in groups.
func (e *Engine) groupsRows(waiting, length int) bool {
	if e.programs[prefillName(groupRows, length)] != nil {
		return waiting >= groupRows
	}
	return waiting >= worthCompiling(e.device.Kind)
}

// feed feeds rows their next chunk of tokens, of the same length for all. After an error they have no state.
func (e *Engine) feed(rows []*row) error {
	length := e.options.chunk(len(rows[0].unfed()))
	program, err := e.prefillProgram(len(rows), length)
	if err != nil {
		return err
	}
	padded, counts := make([]int32, len(rows)*length), make([]int32, len(rows))
	for i, r := range rows {
		counts[i] = int32(copy(padded[i*length:(i+1)*length], r.unfed()))
	}
	small := []*tensors.Tensor{
		tensors.FromFlatDataAndDimensions(padded, len(rows), length),
		tensors.FromFlatDataAndDimensions(counts, len(rows)),
	}
	defer free(small)
	arguments := append(append([]*tensors.Tensor{}, e.weights...), small...)
	for _, r := range rows {
		arguments = append(arguments, r.state.tensors...)
	}
	outputs, err := program.Run(arguments...)
	if err != nil {
		return err
	}
	each := len(outputs) / len(rows)
	for i, r := range rows {
		r.state.tensors = outputs[i*each : (i+1)*each : (i+1)*each]
		r.fed += int(counts[i])
	}
	return nil
}

func prefillName(rows, length int) string {
	return fmt.Sprintf("feeding of %d tokens to %d rows", length, rows)
}

// prefillProgram feeds rows a chunk: weights, tokens [R,T], their numbers [R] and the rows' states, one row's after the
// other's, to the states after them.
func (e *Engine) prefillProgram(rows, length int) (*xla.Program, error) {
	inputs := append(e.weightInputs(),
		xla.Input{Name: "tokens", Shape: shapes.Make(dtypes.Int32, rows, length)},
		xla.Input{Name: "length", Shape: shapes.Make(dtypes.Int32, rows)})
	for row := range rows {
		for _, tensor := range e.stateInputs(1, true) {
			tensor.Name = fmt.Sprintf("row %d %s", row, tensor.Name)
			inputs = append(inputs, tensor)
		}
	}
	count := len(e.weights)
	return e.compiled(prefillName(rows, length), inputs, func(_ *Graph, nodes []*Node) []*Node {
		states := nodes[count+2:]
		together := states
		if each := len(states) / rows; rows > 1 {
			together = make([]*Node, each)
			for i := range together {
				var parts []*Node
				for row := range rows {
					parts = append(parts, states[row*each+i])
				}
				together[i] = Concatenate(parts, 0)
			}
		}
		_, next := e.extend(nodes[:count], nodes[count], nodes[count+1], together)
		if rows == 1 {
			return next
		}
		var outputs []*Node
		for row := range rows {
			for _, tensor := range next {
				outputs = append(outputs, SliceAxis(tensor, 0, AxisRange(row, row+1)))
			}
		}
		return outputs
	})
}
