package xla_test

import (
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/stretchr/testify/require"

	"tandem/tests/testkit"
	"tandem/xla"
)

// twicePTX doubles kCount floats.
const twicePTX = `.version 7.0
.target sm_80
.address_size 64
.visible .entry twice(.param .u64 source, .param .u64 target)
{
	.reg .pred %p;
	.reg .b32 %r<4>;
	.reg .b64 %d<5>;
	.reg .f32 %f<2>;
	ld.param.u64 %d0, [source];
	ld.param.u64 %d1, [target];
	mov.u32 %r0, %tid.x;
	setp.ge.u32 %p, %r0, 5;
	@%p bra done;
	mul.wide.u32 %d2, %r0, 4;
	add.u64 %d3, %d0, %d2;
	add.u64 %d4, %d1, %d2;
	ld.global.f32 %f0, [%d3];
	add.f32 %f1, %f0, %f0;
	st.global.f32 [%d4], %f1;
done:
	ret;
}
`

// doubled is defined as a sum and launched, twice in a row, as the kernel above: 2x by definition, 4x by kernel.
var doubled = &xla.Operation{
	Name:       "test_twice",
	Definition: func(in []*Node) []*Node { return []*Node{Add(in[0], in[0])} },
	Gradient:   func(_, _, adjoints []*Node) []*Node { return []*Node{MulScalar(adjoints[0], 2)} },
	Kernel: func(in []shapes.Shape) (*xla.Plan, string) {
		if in[0].Size() != 5 {
			return nil, "it doubles five numbers"
		}
		launch := func(operand int) xla.Launch {
			return xla.Launch{PTX: twicePTX, Entry: "twice", Grid: [3]int{1, 1, 1}, Block: [3]int{32, 1, 1}, Operands: []int{operand}, Results: in}
		}
		return &xla.Plan{Launches: []xla.Launch{launch(0), launch(1)}, Outputs: []int{2}}, ""
	},
}

func TestAKernelRunsOnCUDAAndItsDefinitionElsewhere(t *testing.T) {
	device := testkit.Device(t)
	factor := 2.0
	if device.Kind == "cuda" {
		factor = 4
	}
	run := func(n int) []float64 {
		values := make([]float64, n)
		for i := range values {
			values[i] = float64(i + 1)
		}
		outputs := testkit.Run(t, device, []*tensors.Tensor{testkit.Float(values, n)}, func(in []*Node) []*Node {
			y := doubled.Call(in[0])[0]
			return append(Gradient(ReduceAllSum(y), in[0]), y)
		})
		require.Equal(t, 2.0, outputs[0][0], "the gradient is the definition's")
		return outputs[1]
	}
	require.Equal(t, []float64{factor, 2 * factor, 3 * factor, 4 * factor, 5 * factor}, run(5))
	require.Equal(t, []float64{2, 4, 6}, run(3), "outside the kernel's conditions the definition runs")
}

func TestXLATellsThePlannedMemory(t *testing.T) {
	device := testkit.Device(t)
	input := xla.Input{Name: "x", Shape: shapes.Make(dtypes.Float32, 1000)}
	program, err := xla.Compile(device, "memory", []xla.Input{input}, func(_ *Graph, in []*Node) []*Node { return []*Node{Add(in[0], in[0])} })
	require.NoError(t, err)
	defer program.Close()
	memory, err := program.Memory()
	if device.Kind == "go" {
		require.ErrorContains(t, err, "read planned memory: only XLA plans it")
		return
	}
	require.NoError(t, err)
	require.EqualValues(t, 4000, memory.Arguments)
	require.GreaterOrEqual(t, memory.Peak(), int64(8000))
}
