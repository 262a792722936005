//go:build cgo

package xla

import (
	"reflect"
	"testing"
	"unsafe"

	goxla "github.com/gomlx/go-xla/compute/xla"
	"github.com/gomlx/go-xla/pjrt"
	"github.com/gomlx/go-xla/stablehlo"
	"github.com/stretchr/testify/require"
)

// The build itself fails when go-xla's customCall is gone; this fails when the fields that reach.go reads are.
func TestGoXLAStillHasWhatReachReadsFromIt(t *testing.T) {
	const remedy = "go-xla has changed: pin it to v0.4.1 in go.mod, or adapt xla/reach.go"
	compiled, ok := reflect.TypeFor[goxla.Executable]().FieldByName("exec")
	require.True(t, ok, remedy)
	require.Equal(t, reflect.TypeFor[*pjrt.LoadedExecutable](), compiled.Type, remedy)
	for _, name := range reducerCaches {
		cache, ok := reflect.TypeFor[goxla.Builder]().FieldByName(name)
		require.True(t, ok, remedy)
		require.Equal(t, reflect.Map, cache.Type.Kind(), remedy)
	}
	statement, ok := reflect.TypeFor[stablehlo.Value]().FieldByName("stmt")
	require.True(t, ok, remedy)
	require.Equal(t, reflect.TypeFor[*stablehlo.Statement](), statement.Type, remedy)
}

func TestRunningAheadReplacesOneFunctionOfPJRTsTable(t *testing.T) {
	const header, execute = 5, 55 // words before the functions, and the one that executes
	table := make([]uintptr, header+80)
	for i := range table {
		table[i] = uintptr(1000 + i)
	}
	table[0] = uintptr(len(table)) * unsafe.Sizeof(table[0])
	made, original := tableWithAhead(unsafe.Pointer(&table[0]))
	require.Equal(t, table[header+execute], uintptr(original))
	copied := unsafe.Slice((*uintptr)(made), len(table))
	for i, was := range table {
		require.Equal(t, i == header+execute, copied[i] != was, "word %d", i)
	}
	table[0] = (header + execute) * unsafe.Sizeof(table[0])
	made, _ = tableWithAhead(unsafe.Pointer(&table[0]))
	require.Nil(t, made, "a table that ends before it")
}

func TestAPluginsTableIsFoundAndReplacedThroughItsBackend(t *testing.T) {
	set := func(of reflect.Value, name string, value unsafe.Pointer) {
		found := of.Elem().FieldByName(name)
		require.True(t, found.IsValid() && found.Kind() == reflect.Pointer, "go-xla has changed: pin it to v0.4.1 in go.mod, or adapt xla/reach.go")
		*(*unsafe.Pointer)(unsafe.Pointer(found.UnsafeAddr())) = value
	}
	backend, wanted, plugin := &goxla.Backend{}, &pjrt.Client{}, &pjrt.Plugin{}
	before, after := new(int), new(int)
	set(reflect.ValueOf(backend), "client", unsafe.Pointer(wanted))
	set(reflect.ValueOf(wanted), "plugin", unsafe.Pointer(plugin))
	set(reflect.ValueOf(plugin), "api", unsafe.Pointer(before))
	client, api, err := pluginOf(backend)
	require.NoError(t, err)
	require.Same(t, wanted, client)
	require.Equal(t, unsafe.Pointer(before), *api)
	*api = unsafe.Pointer(after)
	_, api, err = pluginOf(backend)
	require.NoError(t, err)
	require.Equal(t, unsafe.Pointer(after), *api, "what was written is the plugin's own field")

	_, err = address(reflect.ValueOf(plugin), "apis")
	require.EqualError(t, err, "go-xla's *pjrt.Plugin has no pointer apis; pin go-xla to v0.4.1")
	device, err := Open("go")
	require.NoError(t, err)
	_, _, err = pluginOf(device.Backend)
	require.ErrorContains(t, err, "not go-xla's; pin go-xla to v0.4.1")
}

func TestOnACPUNothingRunsAhead(t *testing.T) {
	plain, err := Open("go")
	require.NoError(t, err)
	decorated, err := decorate(plain.Backend, false)
	require.NoError(t, err)
	require.False(t, (&Device{Backend: decorated}).RunsAhead())
	require.False(t, plain.RunsAhead())
}

func TestResultsInPlaceOfOperandsAreWrittenAsStableHLOReadsThem(t *testing.T) {
	require.Equal(t, "[#stablehlo.output_operand_alias<output_tuple_indices = [0], operand_index = 5, operand_tuple_indices = []>, "+
		"#stablehlo.output_operand_alias<output_tuple_indices = [1], operand_index = 6, operand_tuple_indices = []>]",
		resultAliases{map[int]int{1: 6, 0: 5}, 3}.ToStableHLO())
	require.Equal(t, "[#stablehlo.output_operand_alias<output_tuple_indices = [], operand_index = 2, operand_tuple_indices = []>]",
		resultAliases{map[int]int{0: 2}, 1}.ToStableHLO(), "a single result is no tuple")
}
