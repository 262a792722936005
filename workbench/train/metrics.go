package train

import (
	"fmt"

	"github.com/gomlx/gomlx/core/tensors"

	"tandem/xla"
)

// Metrics are one step's, read back from the device.
type Metrics struct {
	Step    int
	Loss    float64 // mean nats a target
	Norm    float64 // of all gradients together
	Skipped bool    // the guard refused the update
	InRow   int     // skipped steps in a row
	LR      float64 // factor of the schedule
}

// pending is a step whose metrics nobody has asked for: on the device, or already read.
type pending struct {
	step    int
	lr      float64 // as the schedule was then: that of a training of Minutes changes
	metrics *tensors.Tensor
	values  []float32
}

// readMetrics waits for a step; a variable for tests alone.
var readMetrics = tensors.CopyFlatData[float32]

// read waits for the step, and gives its errors.
func (p *pending) read() (err error) {
	if p.values != nil {
		return nil
	}
	if p.values, err = readMetrics(p.metrics); err != nil {
		return fmt.Errorf("read metrics of step %d: %w", p.step, xla.Late(err))
	}
	if err = p.metrics.FinalizeAll(); err != nil {
		return fmt.Errorf("free metrics of step %d: %w", p.step, err)
	}
	return nil
}

// wait returns when the device has done all steps.
func (t *Trainer) wait() error {
	for i := range t.pending {
		if err := t.pending[i].read(); err != nil {
			return t.options.explained(err, t.model, t.device)
		}
	}
	return nil
}

// Flush reads back the metrics of the steps since the last Flush.
func (t *Trainer) Flush() ([]Metrics, error) {
	if err := t.wait(); err != nil {
		return nil, err
	}
	var all []Metrics
	for _, p := range t.pending {
		all = append(all, Metrics{
			Step: p.step, Loss: float64(p.values[0]), Norm: float64(p.values[1]),
			Skipped: p.values[2] > 0, InRow: int(p.values[3]), LR: p.lr,
		})
	}
	t.pending = t.pending[:0]
	return all, nil
}
