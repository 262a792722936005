package train

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"tandem/models"
	"tandem/xla"
)

// step holds the compiled programs of a training. With one pass a step there is a single program from weights and batch
// to new weights; with more, each pass adds the gradients of its targets' shares in the loss, and the last program applies
// the sum. Weights, optimizer state, guard and step counter are donated and stay on the device.
type step struct {
	device *xla.Device
	model  *models.Model
	o      Options
	// shared steps take any number of passes, whose batches say their shares; the loss of others is the mean over all targets.
	shared bool
	// time is the tokens of a row.
	time int

	single              *xla.Program // Accumulate == 1
	first, more, update *xla.Program // Accumulate > 1, and shared
	evaluate            *xla.Program
	score               *xla.Program // of a policy, compiled when it is first needed
	rates               *tensors.Tensor
}

func newStep(device *xla.Device, model *models.Model, o Options, shared bool, time int) (*step, error) {
	s := &step{device: device, model: model, o: o, shared: shared, time: time}
	s.rates = tensors.FromFlatDataAndDimensions(o.rateTable(), o.Steps, rateColumns)
	var err error
	compile := func(name string, inputs []xla.Input, build func(*Graph, []*Node) []*Node) *xla.Program {
		if err != nil {
			return nil
		}
		var program *xla.Program
		if program, err = xla.Compile(device, name, inputs, build); err == nil {
			program.RunAhead()
		}
		return program
	}
	batch := s.batchInputs()
	weights, state := s.weightInputs(true), s.stateInputs()
	gradients, fixed := s.gradientInputs(), s.weightInputs(false)
	count := len(fixed)
	if o.Accumulate == 1 && !shared {
		single := append(append(append([]xla.Input{}, weights...), state...), batch...)
		s.single = compile("train step", single, func(_ *Graph, in []*Node) []*Node {
			loss, grads := s.gradients(in[:count], in[len(in)-3:])
			return s.apply(in[:count], in[count:len(in)-3], grads, loss)
		})
	} else {
		s.first = compile("first pass", append(append([]xla.Input{}, fixed...), batch...), func(_ *Graph, in []*Node) []*Node {
			loss, grads := s.gradients(in[:count], in[count:])
			return append(grads, loss)
		})
		more := append(append(append([]xla.Input{}, fixed...), gradients...), batch...)
		s.more = compile("further pass", more, func(_ *Graph, in []*Node) []*Node {
			loss, grads := s.gradients(in[:count], in[len(in)-len(batch):])
			for i, gradient := range append(grads, loss) {
				in[count+i] = Add(in[count+i], gradient)
			}
			return in[count : len(in)-len(batch)]
		})
		update := append(append(append([]xla.Input{}, weights...), state...), gradients...)
		s.update = compile("update", update, func(_ *Graph, in []*Node) []*Node {
			sums := in[len(in)-count-1:]
			return s.apply(in[:count], in[count:len(in)-count-1], sums[:count], sums[count])
		})
	}
	return s, err
}

// batchInputs are what a pass takes of a Batch.
func (s *step) batchInputs() []xla.Input {
	batch := []xla.Input{s.integers("tokens"), s.integers("targets"), s.integers("documents")}
	if s.shared || s.o.Accumulate > 1 {
		batch = append(batch, xla.Input{Name: "shares", Shape: shapes.Make(dtypes.Float32, s.o.Batch, s.time), Donate: true})
	}
	return batch
}

// evaluation is the program that measures bits per byte, compiled when it is first needed.
func (s *step) evaluation() (*xla.Program, error) {
	if s.evaluate != nil {
		return s.evaluate, nil
	}
	inputs := append(s.weightInputs(false), s.integers("tokens"), s.integers("targets"), s.integers("documents"),
		xla.Input{Name: "byte lengths", Shape: shapes.Make(dtypes.Int32, s.model.Config.Vocab)})
	var err error
	s.evaluate, err = xla.Compile(s.device, "evaluate", inputs, s.bits)
	return s.evaluate, err
}

func (s *step) integers(name string) xla.Input {
	return xla.Input{Name: name, Shape: shapes.Make(dtypes.Int32, s.o.Batch, s.time), Donate: true}
}

func (s *step) weightInputs(donate bool) []xla.Input {
	var inputs []xla.Input
	for _, weight := range s.model.Weights() {
		inputs = append(inputs, xla.Input{Name: weight.Name, Shape: shapes.Make(weight.DType, weight.Shape...), Donate: donate})
	}
	return inputs
}

// gradientInputs are the sums over passes: one tensor a weight, then the loss.
func (s *step) gradientInputs() []xla.Input {
	inputs := s.weightInputs(true)
	for i := range inputs {
		inputs[i].Name += "/gradient"
	}
	return append(inputs, xla.Input{Name: "loss", Shape: shapes.Make(dtypes.Float32), Donate: true})
}

// stateInputs are the optimizer's slots, the guard, the step counter, and the table of rates.
func (s *step) stateInputs() []xla.Input {
	var inputs []xla.Input
	for _, slot := range s.optimizer().allSlots() {
		inputs = append(inputs, xla.Input{Name: slot.name, Shape: shapes.Make(dtypes.Float32, slot.shape...), Donate: true})
	}
	return append(inputs,
		xla.Input{Name: "guard", Shape: shapes.Make(dtypes.Float32, guardSize), Donate: true},
		xla.Input{Name: "step", Shape: shapes.Make(dtypes.Int32), Donate: true},
		xla.Input{Name: "rates", Shape: shapes.Make(dtypes.Float32, s.o.Steps, rateColumns)},
	)
}

func (s *step) optimizer() *optimizer {
	return &optimizer{options: s.o, weights: s.model.Weights(), width: s.model.Config.Width, compute: s.device.Compute}
}

// gradients builds the loss and its gradient for every weight: the mean over real targets of a batch of tokens, targets
// and documents, int32 [B,T], or their sum by shares where these are its fourth.
func (s *step) gradients(weights, batch []*Node) (loss *Node, gradients []*Node) {
	if len(batch) > 3 {
		loss, _ = s.model.SharedLoss(s.device.Compute, weights, batch[0], batch[1], batch[2], batch[3], s.o.Checkpoint)
		return loss, Gradient(loss, weights...)
	}
	loss, _ = s.model.Loss(s.device.Compute, weights, batch[0], batch[1], batch[2], s.o.Checkpoint)
	return loss, Gradient(loss, weights...)
}

// apply builds the update: new weights, slots, guard, counter, and the step's metrics: loss, gradient norm, whether it was
// skipped, skipped in a row.
func (s *step) apply(weights, state, gradients []*Node, loss *Node) []*Node {
	slots, guard, counter, table := state[:len(state)-3], state[len(state)-3], state[len(state)-2], state[len(state)-1]
	norm := globalNorm(gradients)
	allowed, nextGuard := s.o.watch(guard, loss, norm)

	row := Gather(table, Reshape(counter, 1))
	rate := func(i int) *Node { return Reshape(SliceAxis(row, -1, AxisRange(i, i+1))) }
	next := AddScalar(counter, 1)
	nextWeights, nextSlots := s.optimizer().update(weights, gradients, slots, rates{
		lr: rate(0), momentum: rate(1), decay: rate(2), step: ConvertDType(AddScalar(next, s.o.Warm), dtypes.Float32),
	})
	outputs := make([]*Node, 0, len(weights)+len(state)+1)
	keep := func(fresh, old []*Node) {
		for i := range fresh {
			outputs = append(outputs, Where(allowed, fresh[i], old[i]))
		}
	}
	keep(nextWeights, weights)
	keep(nextSlots, slots)
	skipped := OneMinus(ConvertDType(allowed, dtypes.Float32))
	inRow := Reshape(SliceAxis(nextGuard, 0, AxisRange(guardRow, guardRow+1)))
	metrics := Stack([]*Node{loss, norm, skipped, inRow}, 0)
	return append(outputs, nextGuard, next, metrics)
}

// bits builds the sums that bits per byte are made of: nats of the targets that stand for bytes, and those bytes.
func (s *step) bits(_ *Graph, in []*Node) []*Node {
	batch, lengths := in[len(in)-4:len(in)-1], in[len(in)-1]
	lossBT := s.model.Losses(s.device.Compute, in[:len(in)-4], batch[0], batch[1], batch[2])
	bytesBT := ConvertDType(Gather(lengths, ExpandAxes(MaxScalar(batch[1], 0), -1)), dtypes.Float32)
	counts := LogicalAnd(GreaterThan(bytesBT, ZerosLike(bytesBT)), GreaterOrEqual(batch[1], ZerosLike(batch[1])))
	zero := ZerosLike(lossBT)
	return []*Node{xla.SumAll(Where(counts, lossBT, zero)), xla.SumAll(Where(counts, bytesBT, zero))}
}

// allSlots lists the optimizer's state in the order of the programs.
func (o *optimizer) allSlots() []slot {
	var slots []slot
	for i := range o.weights {
		slots = append(slots, o.slots(i)...)
	}
	return slots
}

func (s *step) close() {
	for _, program := range []*xla.Program{s.single, s.first, s.more, s.update, s.evaluate, s.score} {
		if program != nil {
			program.Close()
		}
	}
}
