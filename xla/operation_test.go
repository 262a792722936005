package xla

import (
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/stretchr/testify/require"
)

func TestACallOnTheGoBackendIsNeverTheLastUserOfAnInput(t *testing.T) {
	device, err := Open("go")
	require.NoError(t, err)
	defer device.Finalize()
	input := Input{Name: "x", Shape: shapes.Make(dtypes.Float32, 2)}
	var users int
	program, err := Compile(device, "test", []Input{input, {Name: "y", Shape: input.Shape}}, func(_ *graph.Graph, in []*graph.Node) []*graph.Node {
		product := graph.Mul(in[0], in[1])
		output := difference("").Call(product, in[1])[0]
		for _, given := range output.Inputs() {
			if given == product {
				users++
			}
		}
		return []*graph.Node{output, graph.Gradient(graph.ReduceAllSum(output), in[0])[0]}
	})
	require.NoError(t, err)
	defer program.Close()
	require.Equal(t, 2, users, "an input that is given once may be consumed while another node reads it")
	outputs, err := program.Run(tensors.FromValue([]float32{5, 7}), tensors.FromValue([]float32{1, 2}))
	require.NoError(t, err)
	require.Equal(t, []float32{4, 12}, tensors.MustCopyFlatData[float32](outputs[0]))
	require.Equal(t, []float32{1, 2}, tensors.MustCopyFlatData[float32](outputs[1]))
}
