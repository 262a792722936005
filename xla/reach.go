//go:build cgo

package xla

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"unsafe"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/shapes"
	goxla "github.com/gomlx/go-xla/compute/xla"
	"github.com/gomlx/go-xla/pjrt"
	"github.com/gomlx/go-xla/stablehlo"
)

// This file is the one place that reaches into go-xla v0.4.1 past its public interface: for its custom calls, which it
// keeps to itself, and what they write in place; for a cache that breaks reductions in functions; for the attributes of
// arguments; for the memory that XLA planned for a program; and for the plugin, whose C functions allocator.go, ahead.go and
// limits_device.go call. A test fails here first when go-xla changes.

// customCall emits stablehlo.custom_call, API version 2. A nil layout is row-major.
//
// It needs no body here, for the package has C code (allocator.go) and so may have functions from elsewhere.
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
func decorate(backend compute.Backend, cuda bool) (compute.Backend, error) {
	k := &kernels{Backend: backend, cuda: cuda,
		reach: reach{emit: emitCustomCall, alias: aliasResults, switched: forgetReducers, place: placeResult}}
	if !cuda {
		return k, nil
	}
	var err error
	if k.limits, err = limitsOf(backend); err != nil {
		return nil, err
	}
	k.ahead = runAhead
	return k, allowAhead(backend)
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

// aliasResults writes output_operand_aliases on the custom call that gave the results, as JAX does (jax/_src/interpreters/
// mlir.py, custom_call).
func aliasResults(results []compute.Value, aliases map[int]int) error {
	node, ok := results[0].(*goxla.Node)
	if !ok {
		return fmt.Errorf("alias results: they are of a %T, not go-xla's; pin go-xla to v0.4.1", results[0])
	}
	value, err := field[*stablehlo.Value](reflect.ValueOf(node), "value")
	if err != nil {
		return fmt.Errorf("alias results: %w", err)
	}
	statement, err := field[*stablehlo.Statement](reflect.ValueOf(value), "stmt")
	if err != nil {
		return fmt.Errorf("alias results: %w", err)
	}
	statement.Attributes["output_operand_aliases"] = resultAliases{aliases, len(results)}
	return nil
}

// resultAliases is the attribute's text.
type resultAliases struct {
	operands map[int]int // by result
	results  int
}

// ToStableHLO is what go-xla writes an attribute with.
func (a resultAliases) ToStableHLO() string {
	var list []string
	for _, result := range slices.Sorted(maps.Keys(a.operands)) {
		index := fmt.Sprint(result)
		if a.results == 1 { // then the call gives no tuple
			index = ""
		}
		list = append(list, fmt.Sprintf("#stablehlo.output_operand_alias<output_tuple_indices = [%s], operand_index = %d, operand_tuple_indices = []>",
			index, a.operands[result]))
	}
	return "[" + strings.Join(list, ", ") + "]"
}

// placeResult writes tf.aliasing_output on an argument: result may be written in its place.
func placeResult(argument compute.Value, result int) error {
	node, ok := argument.(*goxla.Node)
	if !ok {
		return fmt.Errorf("place result %d: the argument is a %T, not go-xla's; pin go-xla to v0.4.1", result, argument)
	}
	value, err := field[*stablehlo.Value](reflect.ValueOf(node), "value")
	if err != nil {
		return fmt.Errorf("place result %d: %w", result, err)
	}
	if value.Attributes == nil {
		value.Attributes = map[string]any{}
	}
	value.Attributes["tf.aliasing_output"] = int32(result)
	return nil
}

// field reads a field of a struct of go-xla, which is given by a pointer.
func field[T any](of reflect.Value, name string) (value T, err error) {
	found := of.Elem().FieldByName(name)
	if !found.IsValid() || found.Type() != reflect.TypeFor[T]() {
		return value, fmt.Errorf("go-xla's %s has no field %s of type %s; pin go-xla to v0.4.1", of.Type(), name, reflect.TypeFor[T]())
	}
	return *(*T)(unsafe.Pointer(found.UnsafeAddr())), nil
}

// pluginOf reads a backend's client, and where its plugin keeps the address of PJRT's table of functions (pjrt.h).
func pluginOf(backend compute.Backend) (client *pjrt.Client, api *unsafe.Pointer, err error) {
	own, ok := backend.(*goxla.Backend)
	if !ok {
		return nil, nil, fmt.Errorf("the backend is a %T, not go-xla's; pin go-xla to v0.4.1", backend)
	}
	if client, err = field[*pjrt.Client](reflect.ValueOf(own), "client"); err != nil {
		return nil, nil, err
	}
	api, err = address(reflect.ValueOf(client.Plugin()), "api")
	return client, api, err
}

// address finds a field that is a C pointer, in a struct of go-xla which is given by a pointer.
func address(of reflect.Value, name string) (*unsafe.Pointer, error) {
	found := of.Elem().FieldByName(name)
	if found.Kind() != reflect.Pointer {
		return nil, fmt.Errorf("go-xla's %s has no pointer %s; pin go-xla to v0.4.1", of.Type(), name)
	}
	return (*unsafe.Pointer)(unsafe.Pointer(found.UnsafeAddr())), nil
}

// plannedMemory is what XLA says a compiled program needs on the device.
func plannedMemory(compiled compute.Executable) (Memory, error) {
	own, ok := compiled.(*goxla.Executable)
	if !ok {
		return Memory{}, fmt.Errorf("read planned memory: only XLA plans it, and the executable is a %T", compiled)
	}
	loaded, err := field[*pjrt.LoadedExecutable](reflect.ValueOf(own), "exec")
	if err != nil {
		return Memory{}, fmt.Errorf("read planned memory: %w", err)
	}
	planned := loaded.OnDeviceMemoryUsageStats
	return Memory{planned.Inputs, planned.Outputs, planned.Aliases, planned.Temporary, planned.GeneratedCode}, nil
}
