//go:build cgo

package xla

import (
	"fmt"
	"reflect"
	"unsafe"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/shapes"
	goxla "github.com/gomlx/go-xla/compute/xla"
	"github.com/gomlx/go-xla/pjrt"
)

// This file is the one place that reaches into go-xla v0.4.1 past its public interface: for its custom calls, which it
// keeps to itself; for a cache that breaks reductions in functions; and for the memory that XLA planned for a program. A
// test fails here first when go-xla changes.

// customCall emits stablehlo.custom_call, API version 2. A nil layout is row-major.
//
//go:linkname customCall github.com/gomlx/go-xla/compute/xla.(*Function).customCall
func customCall(f *goxla.Function, target, config string, operandLayouts [][]int, results []shapes.Shape, resultLayouts [][]int,
	operands ...compute.Value) ([]compute.Value, error)

// emitCustomCall is the emitter of go-xla's functions. Every operand and result is row-major.
func emitCustomCall(f compute.Function, target, config string, results []shapes.Shape, operands []compute.Value) ([]compute.Value, error) {
	function, ok := f.(*goxla.Function)
	if !ok {
		return nil, fmt.Errorf("emit custom call %s: the function is a %T, not go-xla's; pin go-xla to v0.4.1", target, f)
	}
	return customCall(function, target, config, make([][]int, len(operands)), results, make([][]int, len(results)), operands...)
}

// decorate lets an XLA backend run our operations, on CUDA with their kernels.
func decorate(backend compute.Backend, cuda bool) compute.Backend {
	return &kernels{Backend: backend, cuda: cuda, reach: reach{emit: emitCustomCall, switched: forgetReducers}}
}

// reducerCaches are go-xla's caches of the closures that reductions combine numbers with. A closure belongs to the function
// in which it was first needed, and a reduction in any other function that finds it in the cache fails.
var reducerCaches = []string{"cacheReductions", "cacheArgMinMax", "cacheSelections"}

// forgetReducers empties the caches, so that the function whose body goes on makes its own closures.
func forgetReducers(b compute.Builder) {
	own, ok := b.(*goxla.Builder)
	if !ok {
		return
	}
	for _, name := range reducerCaches {
		field := reflect.ValueOf(own).Elem().FieldByName(name)
		reflect.NewAt(field.Type(), unsafe.Pointer(field.UnsafeAddr())).Elem().Set(reflect.MakeMap(field.Type()))
	}
}

// plannedMemory is what XLA says a compiled program needs on the device.
func plannedMemory(compiled compute.Executable) (Memory, error) {
	own, ok := compiled.(*goxla.Executable)
	if !ok {
		return Memory{}, fmt.Errorf("read planned memory: only XLA plans it, and the executable is a %T", compiled)
	}
	field := reflect.ValueOf(own).Elem().FieldByName("exec")
	if !field.IsValid() || field.Type() != reflect.TypeFor[*pjrt.LoadedExecutable]() {
		return Memory{}, fmt.Errorf("read planned memory: go-xla's executable has no field exec; pin go-xla to v0.4.1")
	}
	loaded := *(**pjrt.LoadedExecutable)(unsafe.Pointer(field.UnsafeAddr()))
	planned := loaded.OnDeviceMemoryUsageStats
	return Memory{planned.Inputs, planned.Outputs, planned.Aliases, planned.Temporary, planned.GeneratedCode}, nil
}
