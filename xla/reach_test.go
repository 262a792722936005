//go:build cgo

package xla

import (
	"reflect"
	"testing"

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

func TestResultsInPlaceOfOperandsAreWrittenAsStableHLOReadsThem(t *testing.T) {
	require.Equal(t, "[#stablehlo.output_operand_alias<output_tuple_indices = [0], operand_index = 5, operand_tuple_indices = []>, "+
		"#stablehlo.output_operand_alias<output_tuple_indices = [1], operand_index = 6, operand_tuple_indices = []>]",
		resultAliases{map[int]int{1: 6, 0: 5}, 3}.ToStableHLO())
	require.Equal(t, "[#stablehlo.output_operand_alias<output_tuple_indices = [], operand_index = 2, operand_tuple_indices = []>]",
		resultAliases{map[int]int{0: 2}, 1}.ToStableHLO(), "a single result is no tuple")
}
