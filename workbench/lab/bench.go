package lab

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"tandem/blocks"
	"tandem/models"
	"tandem/workbench/config"
	"tandem/workbench/train"
	"tandem/xla"
)

// BenchOptions say how to measure a training.
type BenchOptions struct {
	// Step measures whole optimizer steps; otherwise forward and backward alone.
	Step bool
	// Repeats is the measured runs, after two that are not, at least 1.
	Repeats int
	// PeakTFLOPs is the device's matrix peak, if it is known; 0 measures it.
	PeakTFLOPs float64
}

// TrainBench is what a training costs on a device.
type TrainBench struct {
	Device     string `json:"device"`
	Pattern    string `json:"pattern"`
	Parameters int    `json:"parameters"`
	Batch      int    `json:"batch"`
	Context    int    `json:"context"`
	Vocab      int    `json:"vocab"`
	// What is "forward and backward" or "step".
	What           string  `json:"what"`
	CompileSeconds float64 `json:"compile_seconds"`
	// Seconds is the median of Repeats runs.
	Seconds         float64 `json:"seconds"`
	TokensPerSecond float64 `json:"tokens_per_second"`
	TFLOPs          float64 `json:"tflops"`
	// PeakTFLOPs is a large matrix product's rate on this device, PeakShare the training's share of it.
	PeakTFLOPs float64 `json:"peak_tflops"`
	PeakShare  float64 `json:"peak_share"`
	// MemoryBytes is what XLA planned for the program at its peak; 0 where the backend does not plan.
	MemoryBytes int64          `json:"memory_bytes"`
	Decisions   []xla.Decision `json:"decisions"`
}

// BenchTrain measures a model's training on random tokens.
func BenchTrain(ctx context.Context, c *config.Config, o BenchOptions, say func(string)) (TrainBench, error) {
	if err := positiveRepeats(o.Repeats); err != nil {
		return TrainBench{}, err
	}
	model, err := models.New(c.Model)
	if err != nil {
		return TrainBench{}, err
	}
	device, err := xla.Open(c.Backend)
	if err != nil {
		return TrainBench{}, err
	}
	defer device.Finalize()
	say(device.Summary())
	options := c.Train.Resolved()
	result := TrainBench{
		Device: device.Description(), Pattern: model.Config.Pattern.String(), Parameters: model.Parameters(), Batch: options.Batch,
		Context: model.Config.Context, Vocab: model.Config.Vocab, What: "forward and backward", PeakTFLOPs: o.PeakTFLOPs,
	}
	if result.PeakTFLOPs == 0 {
		if result.PeakTFLOPs, err = matrixPeak(device); err != nil {
			return result, err
		}
	}
	measure := benchPass
	if o.Step {
		result.What, measure = "step", benchStep
	}
	passes := 1
	if o.Step {
		passes = options.Accumulate
	}
	say(fmt.Sprintf("model %s: %d parameters; compiling", result.Pattern, result.Parameters))
	if err := measure(ctx, device, model, options, o.Repeats, &result); err != nil {
		return result, err
	}
	tokens := float64(options.Batch * model.Config.Context * passes)
	result.TokensPerSecond = tokens / result.Seconds
	result.TFLOPs = model.FLOPs(options.Batch, model.Config.Context) * float64(passes) / result.Seconds / 1e12
	result.PeakShare = result.TFLOPs / result.PeakTFLOPs
	result.Decisions = xla.Decisions()
	return result, nil
}

// positiveRepeats refuses a median of nothing.
func positiveRepeats(repeats int) error {
	if repeats < 1 {
		return fmt.Errorf("bench: repeats %d: must be positive", repeats)
	}
	return nil
}

func benchPass(ctx context.Context, device *xla.Device, model *models.Model, options train.Options, repeats int, result *TrainBench) error {
	started := time.Now()
	pass, err := train.NewPass(device, model, options)
	if err != nil {
		return err
	}
	defer pass.Close()
	weights, batch := randomWeights(model), randomBatch(model, options.Batch)
	result.CompileSeconds = time.Since(started).Seconds()
	if memory, err := pass.Memory(); err == nil {
		result.MemoryBytes = memory.Peak()
	}
	result.Seconds, err = median(ctx, repeats, func() error {
		_, err := pass.Run(weights, batch)
		return err
	})
	return err
}

func benchStep(ctx context.Context, device *xla.Device, model *models.Model, options train.Options, repeats int, result *TrainBench) error {
	options.Steps = repeats + benchWarmup
	started := time.Now()
	trainer, err := train.New(device, model, options)
	if err != nil {
		return err
	}
	defer trainer.Close()
	result.CompileSeconds = time.Since(started).Seconds()
	var batches []train.Batch
	for range options.Accumulate {
		batches = append(batches, randomBatch(model, options.Batch))
	}
	result.Seconds, err = median(ctx, repeats, func() error {
		if err := trainer.Step(batches); err != nil {
			return err
		}
		_, err := trainer.Flush()
		return err
	})
	return err
}

// benchWarmup is the runs before the measured ones.
const benchWarmup = 2

// median times repeats runs and returns the middle one in seconds.
func median(ctx context.Context, repeats int, run func() error) (float64, error) {
	var seconds []float64
	for i := range benchWarmup + repeats {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		started := time.Now()
		if err := run(); err != nil {
			return 0, err
		}
		if i >= benchWarmup {
			seconds = append(seconds, time.Since(started).Seconds())
		}
	}
	slices.Sort(seconds)
	return seconds[len(seconds)/2], nil
}

// randomWeights draws initial weights without zeros: products of zeros run faster than any training does.
func randomWeights(model *models.Model) []*tensors.Tensor {
	weights := make([]*tensors.Tensor, len(model.Weights()))
	var group sync.WaitGroup
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	for i, weight := range model.Weights() {
		group.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			if weight.Init == blocks.Zero() {
				weight.Init = blocks.Uniform(0.02)
			}
			values := make([]float32, weight.Size())
			weight.Init.Fill(rand.New(rand.NewPCG(1, uint64(i))), values, weight.Shape[len(weight.Shape)-1])
			weights[i] = tensors.FromFlatDataAndDimensions(values, weight.Shape...)
		})
	}
	group.Wait()
	return weights
}

// randomBatch draws tokens of one document a row.
func randomBatch(model *models.Model, rows int) train.Batch {
	random := rand.New(rand.NewPCG(2, 3))
	draw := func() []int32 {
		ids := make([]int32, rows*model.Config.Context)
		for i := range ids {
			ids[i] = random.Int32N(int32(model.Config.Vocab))
		}
		return ids
	}
	return train.Batch{Tokens: draw(), Targets: draw(), Documents: make([]int32, rows*model.Config.Context)}
}

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
