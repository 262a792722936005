//go:build cgo

package xla

import (
	"reflect"
	"testing"

	goxla "github.com/gomlx/go-xla/compute/xla"
	"github.com/gomlx/go-xla/pjrt"
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
}
