package train

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/gomlx/gomlx/core/tensors"

	"tandem/models"
	"tandem/workbench/checkpoint"
	"tandem/xla"
)

// Batch is what one pass trains on, int32 [Batch, Context] each, row-major: tokens, the token after each (below zero to
// ignore) and the document of each within its row.
type Batch struct {
	Tokens, Targets, Documents []int32
	// Shares are what each target's cross-entropy counts in the sum that a Policy's step lowers, as many as Targets. Others
	// leave them nil: what is lowered is the mean over all targets of a step.
	Shares []float32
	// Notes are what the run's log should know of the batch, such as that a corpus begins anew.
	Notes []string
}

// Trainer holds a model in training: its weights and optimizer on the device, and the compiled step.
type Trainer struct {
	model   *models.Model
	options Options
	device  *xla.Device
	step    *step

	// resident are the tensors that the step donates and replaces: weights, slots, guard, step counter.
	resident []*tensors.Tensor
	at       int
	pending  []pending
}

// New compiles the step and draws initial weights from the options' seed.
func New(device *xla.Device, model *models.Model, options Options) (*Trainer, error) {
	return newTrainer(device, model, options, false, model.Config.Context)
}

func newTrainer(device *xla.Device, model *models.Model, options Options, shared bool, time int) (*Trainer, error) {
	if err := options.Validate(); err != nil {
		return nil, err
	}
	options = options.Resolved()
	compiled, err := newStep(device, model, options, shared, time)
	if err != nil {
		return nil, err
	}
	t := &Trainer{model: model, options: options, device: device, step: compiled}
	for i, values := range model.Init(options.Seed) {
		t.resident = append(t.resident, tensors.FromFlatDataAndDimensions(values, model.Weights()[i].Shape...))
	}
	for _, slot := range compiled.optimizer().allSlots() {
		t.resident = append(t.resident, zeros(slot.shape...))
	}
	t.resident = append(t.resident, zeros(guardSize), tensors.FromScalar(int32(0)))
	return t, nil
}

func zeros(shape ...int) *tensors.Tensor {
	size := 1
	for _, dim := range shape {
		size *= dim
	}
	return tensors.FromFlatDataAndDimensions(make([]float32, size), shape...)
}

// At is the number of steps done.
func (t *Trainer) At() int { return t.at }

// Options are the resolved options.
func (t *Trainer) Options() Options { return t.options }

// Weights are the current weights, in the order of model.Weights(). They are valid until the next Step.
func (t *Trainer) Weights() []*tensors.Tensor { return t.resident[:len(t.model.Weights())] }

// Step does one optimizer step on Accumulate batches. Where the device runs ahead it is done only after the next Step or Flush,
// which gives its errors; Flush gives its metrics.
func (t *Trainer) Step(batches []Batch) error {
	return t.options.explained(t.take(batches), t.model, t.device)
}

func (t *Trainer) take(batches []Batch) error {
	if len(batches) != t.options.Accumulate && !t.step.shared {
		return fmt.Errorf("train step %d: got %d batches, a step takes %d", t.at, len(batches), t.options.Accumulate)
	}
	if t.step.single == nil && !t.step.shared {
		batches = shareOut(batches)
	}
	count := len(t.model.Weights())
	var outputs []*tensors.Tensor
	var err error
	if t.step.single != nil {
		outputs, err = t.step.single.Run(t.arguments(t.resident, []*tensors.Tensor{t.step.rates}, t.upload(batches[0]))...)
	} else {
		sums, passErr := t.step.first.Run(t.arguments(t.resident[:count], t.upload(batches[0]))...)
		for _, batch := range batches[1:] {
			if passErr == nil {
				sums, passErr = t.step.more.Run(t.arguments(t.resident[:count], sums, t.upload(batch))...)
			}
		}
		if passErr != nil {
			return passErr
		}
		outputs, err = t.step.update.Run(t.arguments(t.resident, []*tensors.Tensor{t.step.rates}, sums)...)
	}
	if err != nil {
		return err
	}
	last := len(outputs) - 1
	t.resident = outputs[:last]
	t.pending = append(t.pending, pending{step: t.at, lr: t.options.At(t.at).LR, metrics: outputs[last]})
	t.at++
	if before := len(t.pending) - 2; before >= 0 {
		return t.pending[before].read() // so that the host is one step ahead of the device and not more
	}
	return nil
}

func (t *Trainer) arguments(parts ...[]*tensors.Tensor) []*tensors.Tensor {
	var all []*tensors.Tensor
	for _, part := range parts {
		all = append(all, part...)
	}
	return all
}

func (t *Trainer) upload(batch Batch) []*tensors.Tensor {
	return batch.upload(t.options.Batch, t.step.time)
}

// Evaluate measures bits per byte over the batches that next gives, until it returns false: nats of the targets that
// stand for bytes, over those bytes times ln 2. byteLengths is the number of bytes of each token.
func (t *Trainer) Evaluate(ctx context.Context, byteLengths []int32, next func() (Batch, bool, error)) (float64, error) {
	program, err := t.step.evaluation()
	if err != nil {
		return 0, err
	}
	lengths := tensors.FromFlatDataAndDimensions(byteLengths, len(byteLengths))
	var nats, bytes float64
	for {
		batch, ok, err := next()
		if err != nil {
			return 0, err
		}
		if !ok || ctx.Err() != nil {
			break
		}
		outputs, err := program.Run(t.arguments(t.Weights(), t.upload(batch), []*tensors.Tensor{lengths})...)
		if err != nil {
			return 0, err
		}
		nats += float64(tensors.ToScalar[float32](outputs[0]))
		bytes += float64(tensors.ToScalar[float32](outputs[1]))
	}
	if bytes == 0 {
		return 0, errors.New("evaluate: no validation bytes; use a larger corpus")
	}
	return nats / (bytes * math.Ln2), ctx.Err()
}

// Snapshot copies weights and optimizer to the host, to be saved. extra is kept with them.
func (t *Trainer) Snapshot(extra json.RawMessage) (checkpoint.Snapshot, error) {
	names := t.names()
	all := make([]checkpoint.Tensor, len(names))
	for i, tensor := range t.resident {
		saved := checkpoint.Tensor{Name: names[i], DType: "F32", Shape: tensor.Shape().Dimensions}
		if i == len(names)-1 {
			saved.DType = "I32"
		}
		err := tensor.ConstBytes(func(data []byte) { saved.Data = append([]byte{}, data...) })
		if err != nil {
			return checkpoint.Snapshot{}, fmt.Errorf("read %s from the device: %w", names[i], err)
		}
		all[i] = saved
	}
	count := len(t.model.Weights())
	return checkpoint.Snapshot{
		Step: t.at, Model: all[:count], Optimizer: all[count:], State: extra,
		Metadata: map[string]string{"format": "tandem", "pattern": t.model.Config.Pattern.String(), "time": time.Now().UTC().Format(time.RFC3339)},
	}, nil
}

// names of the resident tensors.
func (t *Trainer) names() []string {
	var names []string
	for _, weight := range t.model.Weights() {
		names = append(names, weight.Name)
	}
	for _, slot := range t.step.optimizer().allSlots() {
		names = append(names, slot.name)
	}
	return append(names, "guard", "step")
}

// Restore puts a snapshot of the same architecture on the device; training goes on after its step.
func (t *Trainer) Restore(snapshot checkpoint.Snapshot) error {
	restored, err := t.load(snapshot, len(t.resident))
	if err != nil {
		return fmt.Errorf("restore step %d: %w", snapshot.Step, err)
	}
	t.resident, t.at = restored, snapshot.Step
	return nil
}

// StartFrom takes the weights of a snapshot of the same architecture, for a training that begins where another ended.
// With optimizer it takes the optimizer's state too, and Options.Warm should count the steps that this has seen, or Adam's
// bias correction takes it for that of a first step. Guard, step and schedule begin anew.
func (t *Trainer) StartFrom(snapshot checkpoint.Snapshot, optimizer bool) error {
	count := len(t.model.Weights())
	if optimizer {
		count = len(t.resident) - 2 // all but guard and step
	}
	started, err := t.load(snapshot, count)
	if err != nil {
		return fmt.Errorf("start from step %d: %w", snapshot.Step, err)
	}
	copy(t.resident, started)
	return nil
}

// load puts the first count of the resident tensors of a snapshot on the device.
func (t *Trainer) load(snapshot checkpoint.Snapshot, count int) ([]*tensors.Tensor, error) {
	loaded := make([]*tensors.Tensor, count)
	saved := map[string]checkpoint.Tensor{}
	for _, tensor := range append(append([]checkpoint.Tensor{}, snapshot.Model...), snapshot.Optimizer...) {
		saved[tensor.Name] = tensor
	}
	if len(snapshot.Optimizer) == 0 && count > len(t.model.Weights()) {
		return nil, errors.New("the checkpoint has no optimizer state: it is an export, which can be tuned but not resumed")
	}
	for _, tensor := range snapshot.Model {
		if !slices.ContainsFunc(t.model.Weights(), func(weight models.Weight) bool { return weight.Name == tensor.Name }) {
			return nil, fmt.Errorf("the checkpoint has %q and the model has not; it is of another architecture: use the configuration it was trained with", tensor.Name)
		}
	}
	for i, name := range t.names()[:count] {
		tensor, ok := saved[name]
		if !ok {
			return nil, fmt.Errorf("the checkpoint has no %q; it is of another architecture: use the configuration it was trained with", name)
		}
		shape := t.resident[i].Shape()
		if fmt.Sprint(tensor.Shape) != fmt.Sprint(shape.Dimensions) {
			return nil, fmt.Errorf("%q has shape %v in the checkpoint and %v in the model; use the configuration it was trained with", name, tensor.Shape, shape.Dimensions)
		}
		fresh, err := tensors.FromRaw(t.device.Backend, 0, shape, tensor.Widened().Data)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", name, err)
		}
		loaded[i] = fresh
	}
	return loaded, nil
}

// Close frees the compiled programs.
func (t *Trainer) Close() { t.step.close() }
