//go:build cgo

package xla

import (
	"reflect"
	"testing"
	"unsafe"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	goxla "github.com/gomlx/go-xla/compute/xla"
	"github.com/gomlx/go-xla/pjrt"
	"github.com/gomlx/go-xla/stablehlo"
	stablehloshapes "github.com/gomlx/go-xla/types/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/stretchr/testify/require"
)

func TestAResultTakesThePlaceOfTheDonatedArgumentOfItsShape(t *testing.T) {
	device, _ := plannedDevice(t)
	var results []int
	device.Backend.(*kernels).place = func(_ compute.Value, result int) error {
		results = append(results, result)
		return nil
	}
	float := func(dims ...int) shapes.Shape { return shapes.Make(dtypes.Float32, dims...) }
	inputs := []Input{
		{Name: "kept", Shape: float(2)}, {Name: "first", Shape: float(2), Donate: true},
		{Name: "useless", Shape: float(7), Donate: true}, {Name: "second", Shape: float(2), Donate: true},
	}
	program, err := Compile(device, "test", inputs, func(_ *graph.Graph, in []*graph.Node) []*graph.Node {
		sum := difference("no kernel here").Call(in[1], in[3])[0] // a function of its own, whose inputs nobody donates
		return []*graph.Node{graph.ReduceAllSum(in[2]), sum, graph.Add(in[0], in[1])}
	})
	require.NoError(t, err)
	defer program.Close()
	require.Equal(t, []int{1, 2}, results)
	outputs, err := program.Run(tensors.FromValue([]float32{1, 1}), tensors.FromValue([]float32{5, 7}),
		tensors.FromValue(make([]float32, 7)), tensors.FromValue([]float32{1, 2}))
	require.NoError(t, err)
	require.Equal(t, []float32{4, 5}, tensors.MustCopyFlatData[float32](outputs[1]))
}

func TestThePlaceIsWrittenAsXLAReadsIt(t *testing.T) {
	text := stablehlo.New("test")
	main := text.Main()
	shape := stablehloshapes.Make(dtypes.Float32, 2)
	argument, err := main.NamedInput("weight", shape)
	require.NoError(t, err)
	require.NoError(t, main.Return(argument))
	node := &goxla.Node{}
	value := reflect.ValueOf(node).Elem().FieldByName("value")
	reflect.NewAt(value.Type(), unsafe.Pointer(value.UnsafeAddr())).Elem().Set(reflect.ValueOf(argument))
	require.NoError(t, placeResult(node, 3))
	program, err := text.Build()
	require.NoError(t, err)
	require.Contains(t, string(program), "%weight: tensor<2xf32> { tf.aliasing_output = 3 : i32 }")
	require.ErrorContains(t, placeResult("no node", 3), "pin go-xla to v0.4.1")
}

func TestGoXLAStillHasWhatTheAllocatorIsReachedBy(t *testing.T) {
	const remedy = "go-xla has changed: pin it to v0.4.1 in go.mod, or adapt xla/allocator.go"
	device, ok := reflect.TypeFor[pjrt.Device]().FieldByName("cDevice")
	require.True(t, ok, remedy)
	require.Equal(t, reflect.Pointer, device.Type.Kind(), remedy)
}

func TestTheGoBackendDoesNotTellItsMemory(t *testing.T) {
	device, err := Open("go")
	require.NoError(t, err)
	defer device.Finalize()
	_, err = device.MemoryUse()
	require.EqualError(t, err, "read memory in use: backend go has no allocator of its own")
}

func TestTheMemoryOfAGPUIsANumber(t *testing.T) {
	bytes, err := GPU{Name: "NVIDIA H200", MemoryMiB: "143771"}.Bytes()
	require.NoError(t, err)
	require.Equal(t, int64(143771)<<20, bytes)
	_, err = GPU{Name: "GB10", MemoryMiB: "[N/A]"}.Bytes()
	require.EqualError(t, err, `read the memory of GB10: nvidia-smi says "[N/A]", not a number of MiB`)
}
