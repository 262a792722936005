package lab

import (
	"context"
	"fmt"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"tandem/models"
	"tandem/workbench/config"
	"tandem/workbench/generate"
	"tandem/xla"
)

// benchEngine is an engine over a model with random weights.
type benchEngine struct {
	device *xla.Device
	model  *models.Model
	engine *generate.Engine
}

// openEngine opens one whose rows hold so many tokens; an error about that begins with what needs them. Close it.
func openEngine(c *config.Config, needs string, capacity int, o generate.Options, say func(string)) (*benchEngine, error) {
	model, err := models.New(c.Model)
	if err != nil {
		return nil, err
	}
	if capacity > model.Config.Context {
		return nil, fmt.Errorf("%s do not fit the context %d; raise --context", needs, model.Config.Context)
	}
	device, err := xla.Open(c.Backend)
	if err != nil {
		return nil, err
	}
	say(device.Summary())
	o.Capacity = capacity
	engine, err := generate.New(device, model, randomWeights(model), o)
	if err != nil {
		device.Finalize()
		return nil, err
	}
	return &benchEngine{device, model, engine}, nil
}

func (b *benchEngine) close() {
	b.engine.Close()
	b.device.Finalize()
}

// weightBytes is what a step reads of weights: all but the embedding, of which it reads a line a row.
func (b *benchEngine) weightBytes() int64 {
	return int64(b.model.Parameters()-b.model.Config.Vocab*b.model.Config.Width) * int64(b.device.Compute.Size())
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
