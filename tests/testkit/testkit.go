// Package testkit owns what tests of several packages share: the device under test, a fake of a PJRT device, the table of
// tolerances, random inputs, and running a piece of graph or a call that may hang. It imports xla and nothing else of this
// module.
package testkit

import (
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/stretchr/testify/require"

	"tandem/xla"
)

// Tolerance is the largest accepted error of a tensor relative to the largest value of its reference.
type Tolerance struct{ Forward, Gradient float64 }

// Tolerances is the one table of accepted errors against float64, by the dtype of activations. Float32 rounds at 6e-8;
// a block chains some hundred operations, and its gradient about three times as many. Bfloat16 rounds at 4e-3.
var Tolerances = map[dtypes.DType]Tolerance{
	dtypes.Float32:  {Forward: 5e-6, Gradient: 2e-5},
	dtypes.BFloat16: {Forward: 2e-2, Gradient: 4e-2},
}

// BackendVariable names the environment variable that runs the tests on another backend, such as cuda.
const BackendVariable = "TANDEM_TEST_BACKEND"

// Device opens the device under test, the Go backend unless TANDEM_TEST_BACKEND says otherwise.
func Device(t testing.TB) *xla.Device {
	t.Helper()
	name := os.Getenv(BackendVariable)
	if name == "" {
		name = "go"
	}
	device, err := xla.Open(name)
	require.NoError(t, err)
	t.Cleanup(device.Finalize)
	return device
}

// Random draws n values from the normal distribution with the given deviation.
func Random(random *rand.Rand, n int, deviation float64) []float64 {
	values := make([]float64, n)
	for i := range values {
		// Rounded to float32, so that both sides of a comparison see the same numbers.
		values[i] = float64(float32(deviation * random.NormFloat64()))
	}
	return values
}

// Float is a float32 tensor of float64 values.
func Float(values []float64, shape ...int) *tensors.Tensor {
	return tensors.FromFlatDataAndDimensions(Float32s(values), shape...)
}

// Int is an int32 tensor.
func Int(values []int32, shape ...int) *tensors.Tensor {
	return tensors.FromFlatDataAndDimensions(append([]int32{}, values...), shape...)
}

// Float32s rounds values.
func Float32s(values []float64) []float32 {
	rounded := make([]float32, len(values))
	for i, value := range values {
		rounded[i] = float32(value)
	}
	return rounded
}

// Run builds a graph over the inputs, runs it once and returns its outputs as float64. A bfloat16 output must be
// converted in the graph.
func Run(t testing.TB, device *xla.Device, inputs []*tensors.Tensor, build func(inputs []*graph.Node) []*graph.Node) [][]float64 {
	t.Helper()
	declared := make([]xla.Input, len(inputs))
	for i, input := range inputs {
		declared[i] = xla.Input{Name: "input" + string(rune('a'+i%26)) + string(rune('a'+i/26)), Shape: input.Shape()}
	}
	program, err := xla.Compile(device, t.Name(), declared, func(_ *graph.Graph, nodes []*graph.Node) []*graph.Node {
		outputs := build(nodes)
		for i := range outputs {
			outputs[i] = graph.ConvertDType(outputs[i], dtypes.Float32)
		}
		return outputs
	})
	require.NoError(t, err)
	defer program.Close()
	outputs, err := program.Run(inputs...)
	require.NoError(t, err)
	values := make([][]float64, len(outputs))
	for i, output := range outputs {
		for _, value := range tensors.MustCopyFlatData[float32](output) {
			values[i] = append(values[i], float64(value))
		}
		require.NoError(t, output.FinalizeAll())
	}
	return values
}

// Close fails the test if got differs from the reference by more than the tolerance times the reference's largest
// value, or holds a value that is not finite.
func Close(t testing.TB, name string, want, got []float64, tolerance float64) {
	t.Helper()
	require.Len(t, got, len(want), name)
	scale, worst, at := 1e-6, 0.0, 0
	for _, value := range want {
		scale = max(scale, math.Abs(value))
	}
	for i := range want {
		difference := math.Abs(want[i] - got[i])
		if math.IsNaN(difference) {
			difference = math.Inf(1)
		}
		if difference > worst {
			worst, at = difference, i
		}
	}
	require.LessOrEqualf(t, worst/scale, tolerance, "%s: element %d is %g, the reference says %g (largest value %g)",
		name, at, got[at], want[at], scale)
}

// Size is the number of elements of a shape.
func Size(shape ...int) int { return shapes.Make(dtypes.Float32, shape...).Size() }
