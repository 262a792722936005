package train

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"tandem/models"
	"tandem/xla"
)

// Pass is one forward and backward pass without an update: what benchmarks time, and what memory estimates are compared
// with.
type Pass struct {
	program *xla.Program
	device  *xla.Device
	model   *models.Model
	options Options
}

// NewPass compiles the pass of a model on rows of its context length; of the options Batch and Checkpoint count.
func NewPass(device *xla.Device, model *models.Model, options Options) (*Pass, error) {
	s := &step{device: device, model: model, o: options.Resolved(), time: model.Config.Context}
	inputs := append(s.weightInputs(false), s.integers("tokens"), s.integers("targets"), s.integers("documents"))
	program, err := xla.Compile(device, "pass", inputs, func(_ *Graph, in []*Node) []*Node {
		loss, gradients := s.gradients(in[:len(in)-3], in[len(in)-3:])
		return append(gradients, loss)
	})
	if err != nil {
		return nil, err
	}
	return &Pass{program: program, device: device, model: model, options: s.o}, nil
}

// Run returns the mean loss; the gradients are computed and dropped.
func (p *Pass) Run(weights []*tensors.Tensor, batch Batch) (float64, error) {
	arguments := append(append([]*tensors.Tensor{}, weights...), batch.upload(p.options.Batch, p.model.Config.Context)...)
	outputs, err := p.program.Run(arguments...)
	if err != nil {
		return 0, p.options.explained(err, p.model, p.device)
	}
	loss := tensors.ToScalar[float32](outputs[len(outputs)-1])
	for _, output := range outputs {
		if err := output.FinalizeAll(); err != nil {
			return 0, fmt.Errorf("free the pass's gradients: %w", err)
		}
	}
	return float64(loss), nil
}

// Memory is what XLA planned for the pass.
func (p *Pass) Memory() (xla.Memory, error) { return p.program.Memory() }

// Close frees the program.
func (p *Pass) Close() { p.program.Close() }
