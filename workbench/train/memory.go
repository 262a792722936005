package train

import (
	"errors"
	"fmt"

	"tandem/models"
	"tandem/xla"
)

// Bytes of one weight in the update of a stack of matrices, at its peak: the momentum seen and the update in float32, and
// the iterate, its successor and the products in the compute dtype.
const updateBytes = 4 + 4 + 2*3

// Memory says how a training with these options uses memory, for models.Model.TrainingMemory. It opens no backend.
func (o Options) Memory(model *models.Model) models.Training {
	o = o.Resolved()
	t := models.Training{Batch: o.Batch, Accumulate: o.Accumulate, Checkpoint: o.Checkpoint, Update: true}
	states := &optimizer{options: o, weights: model.Weights(), width: model.Config.Width}
	for _, slot := range states.allSlots() {
		size := int64(4)
		for _, dim := range slot.shape {
			size *= int64(dim)
		}
		t.OptimizerBytes += size
	}
	// Matrices of one shape are updated as a stack, one stack after another.
	stacks := map[string]int64{}
	for _, weight := range model.Weights() {
		if weight.Group == models.GroupMatrix {
			key := fmt.Sprint(weight.Shape)
			stacks[key] += updateBytes * int64(weight.Size())
			t.UpdateBytes = max(t.UpdateBytes, stacks[key])
		}
	}
	return t
}

// PlannedMemory is what XLA planned for a step, in bytes: the most of its programs, with what of the training stays on the
// device beside each. Only XLA plans.
func (t *Trainer) PlannedMemory() (bytes int64, err error) {
	optimizer := t.options.Memory(t.model).OptimizerBytes
	for _, program := range []struct {
		*xla.Program
		beside int64
	}{{t.step.single, 0}, {t.step.first, optimizer}, {t.step.more, optimizer}, {t.step.update, 0}} {
		if program.Program == nil {
			continue
		}
		memory, err := program.Memory()
		if err != nil {
			return 0, err
		}
		bytes = max(bytes, memory.Peak()+program.beside)
	}
	return bytes, nil
}

// explained adds to an error of too little memory what would fit instead.
func (o Options) explained(err error, model *models.Model, device *xla.Device) error {
	if !errors.Is(err, xla.ErrOutOfMemory) {
		return err
	}
	use, unknown := device.MemoryUse()
	if unknown != nil || use.Limit == 0 {
		return fmt.Errorf("%w; use a smaller batch than %d with more accumulate than %d, or checkpoint 1, which keeps no activations inside blocks", err, o.Batch, o.Accumulate)
	}
	return fmt.Errorf("%w; %s", err, fitting(model, o.Memory(model), use.Limit))
}

// fitting says which batches fit in so many bytes.
func fitting(model *models.Model, training models.Training, available int64) string {
	training.Accumulate = max(2, training.Accumulate) // to make up for the smaller batch
	plain := model.LargestBatch(training, available)
	training.Checkpoint = 1
	checkpointed := model.LargestBatch(training, available)
	room := fmt.Sprintf("of the %.2f GiB that can be had", float64(available)/(1<<30))
	switch {
	case checkpointed == 0:
		return room + " not even one row fits, with checkpoint 1 either; use a smaller context, vocabulary or model"
	case plain == 0:
		return fmt.Sprintf("%s not even one row fits, but with checkpoint 1 a batch of %d; make up for it with accumulate", room, checkpointed)
	}
	return fmt.Sprintf("%s a batch of %d fits by prediction, or %d with checkpoint 1; make up for it with accumulate", room, plain, checkpointed)
}
