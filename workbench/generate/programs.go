package generate

import (
	"fmt"
	"slices"
	"time"

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
	program.RunAhead()
	e.programs[name] = program
	return program, nil
}

// CompileTime is the time that the engine has spent on compiling programs.
func (e *Engine) CompileTime() time.Duration { return time.Duration(e.compileTime.Load()) }

// weightInputs declares the weights as programs take them.
func (e *Engine) weightInputs() []xla.Input {
	inputs := make([]xla.Input, len(e.weights))
	for i, weight := range e.model.Weights() {
		inputs[i] = xla.Input{Name: weight.Name, Shape: e.storedShape(weight)}
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

// storage is how programs take a weight.
type storage int

const (
	asDeclared storage = iota // in its own dtype
	converted                 // in the compute dtype
	transposed                // in the compute dtype, its two axes changed
)

// stored says how programs take a weight. Products are in the compute dtype, so converting their weights once here spares
// every step from reading and rounding the float32 masters; fused steps read them transposed.
func (e *Engine) stored(weight models.Weight) storage {
	switch {
	case weight.Group != models.GroupMatrix && weight.Group != models.GroupHead:
		return asDeclared
	case e.device.FusesSteps():
		return transposed
	case weight.DType != e.device.Compute:
		return converted
	}
	return asDeclared
}

// storedShape is the shape of a weight as programs take it.
func (e *Engine) storedShape(weight models.Weight) shapes.Shape {
	switch e.stored(weight) {
	case converted:
		return shapes.Make(e.device.Compute, weight.Shape...)
	case transposed:
		return shapes.Make(e.device.Compute, weight.Shape[1], weight.Shape[0])
	}
	return shapes.Make(weight.DType, weight.Shape...)
}

// extend is the model's Extend on weights as programs take them.
func (e *Engine) extend(weights []*Node, tokensBT, lengthB *Node, state []*Node) (logitsBV *Node, next []*Node) {
	asModel := make([]*Node, len(weights))
	for i, weight := range e.model.Weights() {
		asModel[i] = weights[i]
		if e.stored(weight) == transposed {
			asModel[i] = Transpose(weights[i], 0, 1)
		}
	}
	return e.model.Extend(e.device.Compute, asModel, tokensBT, lengthB, state)
}

// prepared gives the weights as programs take them. Those that had to be converted are also in own: they are
// the engine's to free.
func (e *Engine) prepared(weights []*tensors.Tensor) (all, own []*tensors.Tensor, err error) {
	declared := e.model.Weights()
	var inputs []xla.Input
	var sources []*tensors.Tensor
	var places []int // of those to convert
	for i, weight := range declared {
		if e.stored(weight) != asDeclared {
			inputs = append(inputs, xla.Input{Name: weight.Name, Shape: weights[i].Shape()})
			sources, places = append(sources, weights[i]), append(places, i)
		}
	}
	if len(sources) == 0 {
		return weights, nil, nil
	}
	program, err := e.compiled("weights as decoding reads them", inputs, func(_ *Graph, nodes []*Node) []*Node {
		for i, node := range nodes {
			nodes[i] = ConvertDType(node, e.device.Compute)
			if e.stored(declared[places[i]]) == transposed {
				nodes[i] = Transpose(nodes[i], 0, 1)
			}
		}
		return nodes
	})
	if err != nil {
		return nil, nil, err
	}
	if own, err = program.Run(sources...); err != nil {
		return nil, nil, err
	}
	all = slices.Clone(weights)
	for i, place := range places {
		all[place] = own[i]
	}
	return all, own, nil
}
