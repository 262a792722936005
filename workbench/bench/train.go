package bench

import (
	"context"
	"fmt"
	"time"

	"tandem/models"
	"tandem/workbench/config"
	"tandem/workbench/train"
	"tandem/xla"
)

// TrainOptions say how to measure a training.
type TrainOptions struct {
	// Step measures whole optimizer steps; otherwise forward and backward alone.
	Step bool
	// Repeats is the measured runs, after two that are not, at least 1.
	Repeats int
	// PeakTFLOPs is the device's matrix peak, if it is known; 0 measures it.
	PeakTFLOPs float64
}

// TrainResult is what a training costs on a device.
type TrainResult struct {
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

// Train measures a model's training on random tokens.
func Train(ctx context.Context, c *config.Config, o TrainOptions, say func(string)) (TrainResult, error) {
	if err := positiveRepeats(o.Repeats); err != nil {
		return TrainResult{}, err
	}
	model, err := models.New(c.Model)
	if err != nil {
		return TrainResult{}, err
	}
	device, err := xla.Open(c.Backend)
	if err != nil {
		return TrainResult{}, err
	}
	defer device.Finalize()
	say(device.Summary())
	options := c.Train.Resolved()
	result := TrainResult{
		Device: device.Description(), Pattern: model.Config.Pattern.String(), Parameters: model.Parameters(), Batch: options.Batch,
		Context: model.Config.Context, Vocab: model.Config.Vocab, What: "forward and backward", PeakTFLOPs: o.PeakTFLOPs,
	}
	if result.PeakTFLOPs == 0 {
		if result.PeakTFLOPs, err = matrixPeak(device); err != nil {
			return result, err
		}
	}
	measure := measurePass
	if o.Step {
		result.What, measure = "step", measureStep
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

func measurePass(ctx context.Context, device *xla.Device, model *models.Model, options train.Options, repeats int, result *TrainResult) error {
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

func measureStep(ctx context.Context, device *xla.Device, model *models.Model, options train.Options, repeats int, result *TrainResult) error {
	options.Steps = repeats + warmup
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
