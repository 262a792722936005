package xla

import (
	"errors"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/stretchr/testify/require"
)

// plannedDevice is the Go backend under the decorator, with an emitter that stands for a kernel: it adds its operands.
func plannedDevice(t *testing.T) (device *Device, configs *[]string) {
	t.Helper()
	device, err := Open("go")
	require.NoError(t, err)
	configs = &[]string{}
	emit := func(f compute.Function, target, config string, results []shapes.Shape, operands []compute.Value) ([]compute.Value, error) {
		*configs = append(*configs, config)
		sum, err := f.Add(operands[0], operands[1])
		return []compute.Value{sum}, err
	}
	device.Backend = &kernels{Backend: device.Backend, cuda: true, reach: reach{emit: emit, switched: func(compute.Builder) {}, place: func(compute.Value, int) error { return nil }}}
	t.Cleanup(device.Finalize)
	return device, configs
}

// difference is an operation whose definition subtracts and whose "kernel" adds, so that each shows which one ran.
func difference(refuse string) *Operation {
	return &Operation{
		Name:       "test_difference",
		Definition: func(in []*graph.Node) []*graph.Node { return []*graph.Node{graph.Sub(in[0], in[1])} },
		Gradient: func(_, _, adjoints []*graph.Node) []*graph.Node {
			return []*graph.Node{adjoints[0], graph.Neg(adjoints[0])}
		},
		Kernel: func(in []shapes.Shape) (*Plan, string) {
			if refuse != "" {
				return nil, refuse
			}
			launch := Launch{PTX: "text", Entry: "add", Grid: [3]int{1, 1, 1}, Block: [3]int{32, 1, 1}, Operands: []int{0, 1}, Results: in[:1]}
			return &Plan{Launches: []Launch{launch}, Outputs: []int{2}}, ""
		},
	}
}

func runDifference(t *testing.T, device *Device, o *Operation) []float32 {
	t.Helper()
	input := Input{Name: "x", Shape: shapes.Make(dtypes.Float32, 2)}
	program, err := Compile(device, "test", []Input{input, {Name: "y", Shape: input.Shape}}, func(_ *graph.Graph, in []*graph.Node) []*graph.Node {
		return o.Call(in...)
	})
	require.NoError(t, err)
	defer program.Close()
	outputs, err := program.Run(tensors.FromValue([]float32{5, 7}), tensors.FromValue([]float32{1, 2}))
	require.NoError(t, err)
	return tensors.MustCopyFlatData[float32](outputs[0])
}

func TestAPlannedOperationRunsItsKernel(t *testing.T) {
	device, configs := plannedDevice(t)
	require.Equal(t, []float32{6, 9}, runDifference(t, device, difference("")))
	require.Len(t, *configs, 1)
	require.Contains(t, (*configs)[0], `{name = "add", kernel_type = "ptx", kernel_data = "text", grid_x = 1 : i32`)
	require.Contains(t, (*configs)[0], `output_indices = [2 : i32]}`)
}

func TestAnOperationRunsItsDefinitionOutsideItsKernelsConditions(t *testing.T) {
	device, configs := plannedDevice(t)
	require.Equal(t, []float32{4, 5}, runDifference(t, device, difference("too small")))
	require.Empty(t, *configs)
	require.Equal(t, "too small", reasonOf("test_difference"))
	t.Setenv(KernelsVariable, "off")
	require.Equal(t, []float32{4, 5}, runDifference(t, device, difference("")))
}

func TestAnOperationRunsItsDefinitionWhereThereAreNoKernels(t *testing.T) {
	device, err := Open("go")
	require.NoError(t, err)
	defer device.Finalize()
	require.Equal(t, []float32{4, 5}, runDifference(t, device, difference("")))
}

// A step that donates, differentiates, loops and sorts behaves under the decorator as without it.
func TestTheDecoratorChangesNothingElse(t *testing.T) {
	plain, err := Open("go")
	require.NoError(t, err)
	defer plain.Finalize()
	wrapped, _ := plannedDevice(t)
	var results [][]float32
	for _, device := range []*Device{plain, wrapped} {
		inputs := []Input{
			{Name: "w", Shape: shapes.Make(dtypes.Float32, 3), Donate: true},
			{Name: "x", Shape: shapes.Make(dtypes.Float32, 3)},
		}
		program, err := Compile(device, "step", inputs, func(g *graph.Graph, in []*graph.Node) []*graph.Node {
			below := graph.NewClosure(g, func(g *graph.Graph) []*graph.Node {
				i := graph.Parameter(g, "i", shapes.Make(dtypes.Float32))
				graph.Parameter(g, "s", shapes.Make(dtypes.Float32, 3))
				return []*graph.Node{graph.LessThan(i, graph.Const(g, float32(3)))}
			})
			body := graph.NewClosure(g, func(g *graph.Graph) []*graph.Node {
				i := graph.Parameter(g, "i", shapes.Make(dtypes.Float32))
				s := graph.Parameter(g, "s", shapes.Make(dtypes.Float32, 3))
				return []*graph.Node{graph.Add(i, graph.Const(g, float32(1))), graph.Add(s, s)}
			})
			eightfold := graph.While(below, body, graph.Const(g, float32(0)), in[1])[1]
			sorted := graph.Sort(eightfold, 0, true)
			loss := graph.ReduceAllSum(graph.Mul(graph.Square(in[0]), graph.StopGradient(sorted)))
			gradient := graph.Gradient(loss, in[0])[0]
			return []*graph.Node{graph.Sub(in[0], gradient), loss}
		})
		require.NoError(t, err)
		weight, x := tensors.FromValue([]float32{1, 2, 3}), tensors.FromValue([]float32{3, 1, 2})
		var trace []float32
		for range 3 {
			outputs, err := program.Run(weight, x)
			require.NoError(t, err)
			weight = outputs[0]
			trace = append(trace, tensors.ToScalar[float32](outputs[1]))
		}
		trace = append(trace, tensors.MustCopyFlatData[float32](weight)...)
		results = append(results, trace)
		program.Close()
	}
	require.Equal(t, results[0], results[1])
}

func TestRunningOutOfMemoryIsToldFromOtherErrors(t *testing.T) {
	device, err := Open("go")
	require.NoError(t, err)
	defer device.Finalize()
	input := Input{Name: "x", Shape: shapes.Make(dtypes.Float32, 2)}
	program, err := Compile(device, "small", []Input{input}, func(_ *graph.Graph, in []*graph.Node) []*graph.Node { return in })
	require.NoError(t, err)
	defer program.Close()
	exhausted := errors.New("PJRT error (code=8): RESOURCE_EXHAUSTED: Out of memory while trying to allocate 12345 bytes")
	require.ErrorIs(t, program.explained(exhausted), ErrOutOfMemory)
	other := errors.New("PJRT error (code=13): CUDA error")
	require.Equal(t, other, program.explained(other))
}
