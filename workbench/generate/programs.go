package generate

import (
	"fmt"
	"time"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"tandem/models"
	"tandem/xla"
)

// compiled returns the program of that name, compiling it on first use.
func (e *Engine) compiled(name string, inputs []xla.Input, build func(g *Graph, inputs []*Node) []*Node) (*xla.Program, error) {
	if program, ok := e.programs[name]; ok {
		return program, nil
	}
	started := time.Now()
	program, err := xla.Compile(e.device, name, inputs, build)
	e.compileTime.Add(int64(time.Since(started)))
	if err != nil {
		return nil, fmt.Errorf("generate: %w", err)
	}
	e.programs[name] = program
	return program, nil
}

// CompileTime is the time that the engine has spent on compiling programs.
func (e *Engine) CompileTime() time.Duration { return time.Duration(e.compileTime.Load()) }

// weightInputs declares the weights as programs take them.
func (e *Engine) weightInputs() []xla.Input {
	inputs := make([]xla.Input, len(e.weights))
	for i, weight := range e.model.Weights() {
		inputs[i] = xla.Input{Name: weight.Name, Shape: shapes.Make(e.weightDType(weight), weight.Shape...)}
	}
	return inputs
}

// stateInputs declares the state of a batch.
func (e *Engine) stateInputs(rows int, donate bool) []xla.Input {
	var inputs []xla.Input
	for _, tensor := range e.model.State(rows, e.options.Capacity, e.device.Compute) {
		inputs = append(inputs, xla.Input{Name: tensor.Name, Shape: shapes.Make(tensor.DType, tensor.Shape...), Donate: donate})
	}
	return inputs
}

// weightDType is what programs read a weight in. Blocks take matrices in the compute dtype, so converting them once here
// spares every step from reading and rounding the float32 masters.
func (e *Engine) weightDType(weight models.Weight) dtypes.DType {
	if weight.Group == models.GroupMatrix || weight.Group == models.GroupHead {
		return e.device.Compute
	}
	return weight.DType
}

// converted gives the weights in the dtypes that programs take. Those that had to be converted are also in own: they are
// the engine's to free.
func (e *Engine) converted(weights []*tensors.Tensor) (all, own []*tensors.Tensor, err error) {
	var inputs []xla.Input
	var sources []*tensors.Tensor
	var targets []shapes.Shape
	for i, weight := range e.model.Weights() {
		if want := e.weightDType(weight); want != weight.DType {
			inputs = append(inputs, xla.Input{Name: weight.Name, Shape: weights[i].Shape()})
			sources, targets = append(sources, weights[i]), append(targets, shapes.Make(want, weight.Shape...))
		}
	}
	if len(sources) == 0 {
		return weights, nil, nil
	}
	program, err := e.compiled("weights in the compute dtype", inputs, func(_ *Graph, nodes []*Node) []*Node {
		for i, node := range nodes {
			nodes[i] = ConvertDType(node, targets[i].DType)
		}
		return nodes
	})
	if err != nil {
		return nil, nil, err
	}
	if own, err = program.Run(sources...); err != nil {
		return nil, nil, err
	}
	next := 0
	for i, weight := range e.model.Weights() {
		if e.weightDType(weight) == weight.DType {
			all = append(all, weights[i])
			continue
		}
		all = append(all, own[next])
		next++
	}
	return all, own, nil
}
