package bench

import (
	"context"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"tandem/xla"
)

// matrixPeak measures the device's rate in TFLOP/s on one large product in the compute dtype.
func matrixPeak(device *xla.Device) (float64, error) {
	size := 8192
	if device.Kind == "go" {
		size = 1024
	}
	inputs := []xla.Input{{Name: "a", Shape: shapes.Make(device.Compute, size, size)}, {Name: "b", Shape: shapes.Make(device.Compute, size, size)}}
	program, err := xla.Compile(device, "matrix peak", inputs, func(_ *graph.Graph, in []*graph.Node) []*graph.Node {
		return []*graph.Node{graph.Dot(in[0], in[1]).WithAccumulatorDType(dtypes.InvalidDType).General([]int{1}, nil, []int{0}, nil)}
	})
	if err != nil {
		return 0, err
	}
	defer program.Close()
	draw, err := xla.Compile(device, "draw", []xla.Input{{Name: "seed", Shape: shapes.Make(dtypes.Float32)}}, func(g *graph.Graph, in []*graph.Node) []*graph.Node {
		wave := graph.Sin(graph.Mul(in[0], graph.Iota(g, shapes.Make(dtypes.Float32, size, size), 0)))
		other := graph.Cos(graph.Mul(in[0], graph.Iota(g, shapes.Make(dtypes.Float32, size, size), 1)))
		return []*graph.Node{graph.ConvertDType(graph.Mul(wave, other), device.Compute)}
	})
	if err != nil {
		return 0, err
	}
	defer draw.Close()
	matrix, err := draw.Run(tensors.FromScalar(float32(12.9898)))
	if err != nil {
		return 0, err
	}
	seconds, err := median(context.Background(), 10, func() error {
		outputs, err := program.Run(matrix[0], matrix[0])
		if err != nil {
			return err
		}
		return outputs[0].FinalizeAll()
	})
	cube := float64(size) * float64(size) * float64(size)
	return 2 * cube / seconds / 1e12, err
}

// copyPeak measures the device's memory bandwidth in GB/s: a large array is read and written.
func copyPeak(device *xla.Device) (float64, error) {
	size := 1 << 28 // 1 GiB of float32
	if device.Kind != "cuda" {
		size = 1 << 24
	}
	// The argument keeps the product from being an identity, which would copy nothing.
	inputs := []xla.Input{{Name: "factor", Shape: shapes.Make(dtypes.Float32)}, {Name: "array", Shape: shapes.Make(dtypes.Float32, size)}}
	program, err := xla.Compile(device, "copy", inputs, func(_ *graph.Graph, in []*graph.Node) []*graph.Node {
		return []*graph.Node{graph.Mul(in[1], in[0])}
	})
	if err != nil {
		return 0, err
	}
	defer program.Close()
	draw, err := xla.Compile(device, "array", inputs[:1], func(g *graph.Graph, in []*graph.Node) []*graph.Node {
		return []*graph.Node{graph.Mul(graph.Iota(g, shapes.Make(dtypes.Float32, size), 0), in[0])}
	})
	if err != nil {
		return 0, err
	}
	defer draw.Close()
	factor := tensors.FromScalar(float32(1.5))
	array, err := draw.Run(factor)
	if err != nil {
		return 0, err
	}
	seconds, err := median(context.Background(), 10, func() error {
		outputs, err := program.Run(factor, array[0])
		if err != nil {
			return err
		}
		return outputs[0].FinalizeAll()
	})
	if err != nil {
		return 0, err
	}
	return 2 * 4 * float64(size) / seconds / 1e9, array[0].FinalizeAll()
}
