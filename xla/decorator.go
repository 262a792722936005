package xla

import (
	"fmt"
	"reflect"
	"sync"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/shapes"
)

// kernels is an XLA backend whose function calls may become kernel launches: a call of a function that has a plan emits
// the plan's custom calls in its place. All else is the backend's own. GoMLX compares backends by identity, so everything
// that knows its backend (buffers, builders, functions, executables) is wrapped.
type kernels struct {
	compute.Backend
	reach
	// cuda tells whether plans can run; without it every operation runs its definition.
	cuda bool
	// limits are the GPU's; plans beyond them are refused.
	limits Limits
	// plans holds a *Plan by function name. A name says the operation and its input shapes, so it means the same plan in
	// every graph.
	plans sync.Map
}

// reach is what the wrapped backend does for us beyond its public interface.
type reach struct {
	// emit adds one custom call to a function.
	emit func(function compute.Function, target, config string, results []shapes.Shape, operands []compute.Value) ([]compute.Value, error)
	// alias makes a custom call write some of its results in place of operands; see Launch.
	alias func(results []compute.Value, aliases map[int]int) error
	// switched is told whenever another function's body begins or ends.
	switched func(builder compute.Builder)
	// place says of an argument which result of its function may take its place.
	place func(argument compute.Value, result int) error
	// ahead calls fn, in which no execution waits for the device; nil where there is no such way.
	ahead func(fn func())
}

// RunsAhead tells whether programs may return before the device is done; see Program.RunAhead.
func (d *Device) RunsAhead() bool {
	k, ok := d.Backend.(*kernels)
	return ok && k.ahead != nil
}

// BufferFromFlatData implements compute.Backend.
func (k *kernels) BufferFromFlatData(device compute.DeviceNum, flat any, shape shapes.Shape) (compute.Buffer, error) {
	return k.wrapBuffer(k.Backend.BufferFromFlatData(device, flat, shape))
}

// NewSharedBuffer implements compute.Backend.
func (k *kernels) NewSharedBuffer(device compute.DeviceNum, shape shapes.Shape) (compute.Buffer, any, error) {
	inner, flat, err := k.Backend.NewSharedBuffer(device, shape)
	wrapped, err := k.wrapBuffer(inner, err)
	return wrapped, flat, err
}

func (k *kernels) wrapBuffer(inner compute.Buffer, err error) (compute.Buffer, error) {
	if err != nil {
		return nil, err
	}
	return &buffer{Buffer: inner, owner: k}, nil
}

// Builder implements compute.Backend.
func (k *kernels) Builder(name string) compute.Builder {
	return &builder{Builder: k.Backend.Builder(name), owner: k}
}

// buffer is a buffer of the wrapped backend.
type buffer struct {
	compute.Buffer
	owner *kernels
}

// Backend implements compute.Buffer.
func (b *buffer) Backend() compute.Backend { return b.owner }

// CopyToDevice implements compute.Buffer.
func (b *buffer) CopyToDevice(device compute.DeviceNum) (compute.Buffer, error) {
	return b.owner.wrapBuffer(b.Buffer.CopyToDevice(device))
}

// builder builds a computation of the wrapped backend.
type builder struct {
	compute.Builder
	owner   *kernels
	donated []donated
}

// Main implements compute.Builder.
func (b *builder) Main() compute.Function { return b.wrap(b.Builder.Main()) }

// NewFunction implements compute.Builder.
func (b *builder) NewFunction(name string) (compute.Function, error) {
	inner, err := b.Builder.NewFunction(name)
	if err != nil {
		return nil, err
	}
	b.owner.switched(b.Builder)
	return b.wrap(inner), nil
}

func (b *builder) wrap(inner compute.Function) compute.Function {
	return &function{Function: inner, builder: b}
}

// Compile implements compute.Builder.
func (b *builder) Compile() (compute.Executable, error) {
	inner, err := b.Builder.Compile()
	if err != nil {
		return nil, err
	}
	return &executable{Executable: inner, owner: b.owner}, nil
}

// function is a function of the wrapped backend. Functions given to its methods as arguments are unwrapped.
type function struct {
	compute.Function
	builder *builder
}

// inner is the function of the wrapped backend.
func inner(f compute.Function) compute.Function {
	if wrapped, ok := f.(*function); ok {
		return wrapped.Function
	}
	return f
}

// Builder implements compute.Function.
func (f *function) Builder() compute.Builder { return f.builder }

// Parent implements compute.Function.
func (f *function) Parent() compute.Function {
	parent := f.Function.Parent()
	if value := reflect.ValueOf(parent); !value.IsValid() || value.IsNil() { // XLA's main function has a typed nil
		return nil
	}
	return f.builder.wrap(parent)
}

// Closure implements compute.Function.
func (f *function) Closure() (compute.Function, error) {
	closure, err := f.Function.Closure()
	if err != nil {
		return nil, err
	}
	f.builder.owner.switched(f.builder.Builder)
	return f.builder.wrap(closure), nil
}

// Return implements compute.Function.
func (f *function) Return(outputs []compute.Value, shardings []*compute.ShardingSpec) error {
	f.builder.owner.switched(f.builder.Builder)
	if err := f.placeResults(outputs); err != nil {
		return err
	}
	return f.Function.Return(outputs, shardings)
}

// Sort implements compute.Function.
func (f *function) Sort(comparator compute.Function, axis int, stable bool, inputs ...compute.Value) ([]compute.Value, error) {
	return f.Function.Sort(inner(comparator), axis, stable, inputs...)
}

// While implements compute.Function.
func (f *function) While(cond, body compute.Function, state ...compute.Value) ([]compute.Value, error) {
	return f.Function.While(inner(cond), inner(body), state...)
}

// If implements compute.Function.
func (f *function) If(predicate compute.Value, yes, no compute.Function) ([]compute.Value, error) {
	return f.Function.If(predicate, inner(yes), inner(no))
}

// SchedulingBarrier implements compute.Function: XLA's own is an addition of zero times the dependencies, which a NaN in
// them passes through; a barrier over all of them together orders them without touching a value.
func (f *function) SchedulingBarrier(operand compute.Value, dependencies ...compute.Value) (compute.Value, error) {
	outputs, err := f.Function.OptimizationBarrier(append([]compute.Value{operand}, dependencies...)...)
	if err != nil {
		return nil, err
	}
	return outputs[0], nil
}

// Call implements compute.Function: a planned call becomes its kernels.
func (f *function) Call(target compute.Function, inputs ...compute.Value) ([]compute.Value, error) {
	planned, ok := f.builder.owner.plans.Load(target.Name())
	if !ok {
		return f.Function.Call(inner(target), inputs...)
	}
	plan := planned.(*Plan)
	values := append([]compute.Value{}, inputs...)
	for _, launch := range plan.Launches {
		operands := make([]compute.Value, len(launch.Operands))
		for i, index := range launch.Operands {
			operands[i] = values[index]
		}
		results, err := f.builder.owner.emit(f.Function, ptxTarget, launch.backendConfig(), launch.Results, operands)
		if err != nil {
			return nil, fmt.Errorf("launch kernel %s: %w", launch.Entry, err)
		}
		if len(launch.Aliases) > 0 {
			if err := f.builder.owner.alias(results, launch.Aliases); err != nil {
				return nil, fmt.Errorf("launch kernel %s: %w", launch.Entry, err)
			}
		}
		values = append(values, results...)
	}
	outputs := make([]compute.Value, len(plan.Outputs))
	for i, index := range plan.Outputs {
		outputs[i] = values[index]
	}
	return outputs, nil
}

// executable is a computation of the wrapped backend.
type executable struct {
	compute.Executable
	owner *kernels
	// ahead lets executions return before the device is done.
	ahead bool
}

// Execute implements compute.Executable.
func (e *executable) Execute(inputs []compute.Buffer, donate []bool, device compute.DeviceNum) ([]compute.Buffer, error) {
	plain := make([]compute.Buffer, len(inputs))
	for i, input := range inputs {
		plain[i] = input
		if wrapped, ok := input.(*buffer); ok {
			plain[i] = wrapped.Buffer
		}
	}
	var outputs []compute.Buffer
	var err error
	execute := func() { outputs, err = e.Executable.Execute(plain, donate, device) }
	if e.ahead {
		e.owner.ahead(execute)
	} else {
		execute()
	}
	if err != nil {
		return nil, err
	}
	for i := range outputs {
		outputs[i] = &buffer{Buffer: outputs[i], owner: e.owner}
	}
	return outputs, nil
}
