package xla

import (
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// PanicError is a panic of graph-building or backend code, caught at the border of this package. Stack is for --debug.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprint(e.Value) }

// Unwrap gives the error that was panicked with, if it was one.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// Try runs fn and returns its error, or its panic as a *PanicError.
func Try(fn func() error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = &PanicError{Value: value, Stack: debug.Stack()}
		}
	}()
	return fn()
}

// Input declares one argument of a Program.
type Input struct {
	Name  string
	Shape shapes.Shape
	// Donate gives the argument's buffer to the program, which may write its results there; the tensor is spent.
	Donate bool
}

// Program is a compiled graph. Run may be called many times, from one goroutine at a time.
type Program struct {
	name   string
	device *Device
	graph  *graph.Graph
	inputs []Input
	// last is true where the graph ends with an output of no meaning: the Go backend fails with an index out of range
	// when the last nodes of a graph are outputs of a function call that nobody uses (compute v0.1.2, executeNode).
	last bool
	// ahead is whether to run ahead after the first run.
	ahead bool
}

// RunAhead lets all runs but the first return before the device is done, where the backend can. Results may go into the next
// run at once; reading them waits, and gives the device's errors. The first run waits, for what does not fit the device's
// memory fails there; errors of later ones are for Late. Whoever runs ahead must read something now and then, or the host is any
// number of runs ahead.
func (p *Program) RunAhead() { p.ahead = true }

// compileTime is in nanoseconds.
var compileTime atomic.Int64

// CompileTime is the time that this process has spent in Compile.
func CompileTime() time.Duration { return time.Duration(compileTime.Load()) }

// Compile builds and compiles a graph. build receives one node per input, in order, and returns the outputs.
func Compile(device *Device, name string, inputs []Input, build func(g *graph.Graph, inputs []*graph.Node) []*graph.Node) (*Program, error) {
	p := &Program{name: name, device: device, inputs: inputs}
	started := time.Now()
	defer func() { compileTime.Add(int64(time.Since(started))) }()
	err := Try(func() error {
		p.graph = graph.NewGraph(device.Backend, name)
		nodes := make([]*graph.Node, len(inputs))
		for i, input := range inputs {
			nodes[i] = graph.Parameter(p.graph, input.parameterName(device), input.Shape)
		}
		outputs := build(p.graph, nodes)
		if device.Kind == "go" {
			outputs = append(outputs, graph.Const(p.graph, int32(0)))
			p.last = true
		}
		return p.graph.Compile(outputs...)
	})
	if err != nil {
		return nil, fmt.Errorf("compile %s: %w", name, err)
	}
	return p, nil
}

// Run executes the program. Donated arguments are spent even when it fails.
func (p *Program) Run(arguments ...*tensors.Tensor) (outputs []*tensors.Tensor, err error) {
	if len(arguments) != len(p.inputs) {
		return nil, fmt.Errorf("run %s: got %d arguments, it takes %d", p.name, len(arguments), len(p.inputs))
	}
	for i, input := range p.inputs {
		if !arguments[i].Shape().Equal(input.Shape) {
			return nil, fmt.Errorf("run %s: argument %q has shape %s, it takes %s", p.name, input.Name, arguments[i].Shape(), input.Shape)
		}
	}
	err = Try(func() error {
		buffers := make([]any, len(arguments))
		for i, argument := range arguments {
			if !p.inputs[i].Donate {
				buffers[i] = argument
				continue
			}
			donated, err := graph.DonateTensorBuffer(argument, p.device.Backend, 0)
			if err != nil {
				return fmt.Errorf("argument %q: %w", p.inputs[i].Name, err)
			}
			buffers[i] = donated
		}
		outputs = p.graph.Run(buffers...)
		if p.last {
			outputs[len(outputs)-1].MustFinalizeAll()
			outputs = outputs[:len(outputs)-1]
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("run %s: %w", p.name, p.explained(err))
	}
	if wrapped, ok := p.graph.Executable().(*executable); ok && wrapped.owner.ahead != nil {
		wrapped.ahead = p.ahead
	}
	return outputs, nil
}

// ErrOutOfMemory marks a program that did not fit the device.
var ErrOutOfMemory = errors.New("the device is out of memory")

// Late marks an error that the device gave when a result of a program that runs ahead was read, as Run would have.
func Late(err error) error {
	if !exhausted(err) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrOutOfMemory, err)
}

// exhausted tells an allocation that failed from other errors.
func exhausted(err error) bool {
	return strings.Contains(err.Error(), "RESOURCE_EXHAUSTED") || strings.Contains(err.Error(), "Out of memory")
}

// explained says of an allocation that failed how much the program needs.
func (p *Program) explained(err error) error {
	if !exhausted(err) {
		return err
	}
	if memory, unknown := p.Memory(); unknown == nil {
		return fmt.Errorf("%w: the program needs %.2f GiB at its peak", ErrOutOfMemory, float64(memory.Peak())/(1<<30))
	}
	return Late(err)
}

// Memory is what XLA planned for a program on the device, in bytes. Aliased bytes are outputs that take the place of
// donated arguments.
type Memory struct {
	Arguments, Outputs, Aliased, Temporary, Code int64
}

// Peak is the most that the program holds at once.
func (m Memory) Peak() int64 { return m.Arguments + m.Outputs - m.Aliased + m.Temporary + m.Code }

// Memory asks XLA what the program needs; the Go backend does not know.
func (p *Program) Memory() (Memory, error) {
	compiled := p.graph.Executable()
	if wrapped, ok := compiled.(*executable); ok {
		compiled = wrapped.Executable
	}
	return plannedMemory(compiled)
}

// Close frees the compiled program.
func (p *Program) Close() { p.graph.Finalize() }
