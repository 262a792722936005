package train

import (
	"fmt"
	"math"
	"strconv"
)

// Options configures a training. Each zero value means the default named with it, filled in by Resolved.
type Options struct {
	// Steps is the number of optimizer steps; 0 is 1000.
	Steps int `json:"steps"`
	// Minutes, if not 0, is the time that all steps together take, and Steps counts nothing: how many there are is estimated
	// from the first ones, and again in each tenth of the time. Warmup is then at most a tenth of them.
	Minutes float64 `json:"minutes,omitempty"`
	// Batch is the rows of one forward and backward pass; 0 is 8.
	Batch int `json:"batch"`
	// Accumulate is the passes whose gradients make one step; 0 is 1.
	Accumulate int `json:"accumulate"`
	// Checkpoint is the number of blocks that the backward pass runs again at a time, so as not to keep their activations;
	// 0 keeps all.
	Checkpoint int `json:"checkpoint"`

	// MatrixLR is Muon's learning rate, for matrices inside blocks; 0 is 0.02.
	MatrixLR float64 `json:"matrix_lr"`
	// EmbeddingLR, HeadLR and ScalarLR are AdamW's; 0 is 0.2, 0.004 and 0.005. The first two are for width 768 and
	// scale with √(768/width).
	EmbeddingLR float64 `json:"embedding_lr"`
	HeadLR      float64 `json:"head_lr"`
	ScalarLR    float64 `json:"scalar_lr"`
	// LRScale multiplies all four; 0 is 1.
	LRScale float64 `json:"lr_scale"`
	// WeightDecay is Muon's, cautious and decoupled, falling to zero by a cosine; 0 is none.
	WeightDecay float64 `json:"weight_decay"`
	// Warmup is the steps over which learning rates rise linearly; 0 is 1, which is no rise: docs/LOG.md measured what one costs.
	Warmup int `json:"warmup"`
	// Warmdown is the share of the steps, at the end, over which learning rates fall linearly; 0 is 0.4.
	Warmdown float64 `json:"warmdown"`
	// FinalLR is the share of the learning rate left after the last step; 0 is 0.05.
	FinalLR float64 `json:"final_lr"`

	// SpikeLimit is how many standard deviations the loss or gradient norm may jump before a step's update is skipped;
	// 0 is 10, negative is no limit. Values that are not finite are always skipped.
	SpikeLimit float64 `json:"spike_limit"`
	// SkipLimit is the number of skipped steps in a row that ends the training; 0 is 20.
	SkipLimit int `json:"skip_limit"`

	// LogEvery is the steps between reading metrics back from the device; 0 is 10.
	LogEvery int `json:"log_every"`
	// EvalEvery, SampleEvery and SaveEvery are in steps; 0 is 100, 0 (none but the last) and 100.
	EvalEvery   int `json:"eval_every"`
	SampleEvery int `json:"sample_every"`
	SaveEvery   int `json:"save_every"`
	// EvalBatches bounds the validation batches of one evaluation; 0 is 16.
	EvalBatches int `json:"eval_batches"`
	// Keep is the number of checkpoints kept; 0 is 2, negative is all.
	Keep int `json:"keep"`
	// Seed draws the initial weights and the order of the data.
	Seed uint64 `json:"seed"`
	// Warm is the steps that the optimizer's state had seen before the first of these; see Trainer.StartFrom. It is no key
	// of a configuration.
	Warm int `json:"warm,omitempty" config:"-"`
}

// Resolved fills in every default.
func (o Options) Resolved() Options {
	setInt := func(field *int, value int) {
		if *field == 0 {
			*field = value
		}
	}
	set := func(field *float64, value float64) {
		if *field == 0 {
			*field = value
		}
	}
	if o.Minutes > 0 {
		o.Steps = timedSteps
	}
	setInt(&o.Steps, 1000)
	setInt(&o.Batch, 8)
	setInt(&o.Accumulate, 1)
	set(&o.MatrixLR, 0.02)
	set(&o.EmbeddingLR, 0.2)
	set(&o.HeadLR, 0.004)
	set(&o.ScalarLR, 0.005)
	set(&o.LRScale, 1)
	setInt(&o.Warmup, 1)
	set(&o.Warmdown, 0.4)
	set(&o.FinalLR, 0.05)
	set(&o.SpikeLimit, 10)
	setInt(&o.SkipLimit, 20)
	setInt(&o.LogEvery, 10)
	setInt(&o.EvalEvery, 100)
	setInt(&o.SaveEvery, 100)
	setInt(&o.EvalBatches, 16)
	setInt(&o.Keep, 2)
	return o
}

// Validate reports the first option that cannot be.
func (o Options) Validate() error {
	r := o.Resolved()
	for _, check := range []struct {
		key   string
		value float64
		low   float64
		high  float64
	}{
		{"steps", float64(r.Steps), 1, 1e9}, {"minutes", r.Minutes, 0, 1e6}, {"batch", float64(r.Batch), 1, 1e6}, {"accumulate", float64(r.Accumulate), 1, 1e6},
		{"checkpoint", float64(r.Checkpoint), 0, 1e6},
		{"matrix_lr", r.MatrixLR, 0, 10}, {"embedding_lr", r.EmbeddingLR, 0, 10}, {"head_lr", r.HeadLR, 0, 10},
		{"scalar_lr", r.ScalarLR, 0, 10}, {"lr_scale", r.LRScale, 0, 100}, {"weight_decay", r.WeightDecay, 0, 100}, {"warmup", float64(r.Warmup), 0, 1e9},
		{"warmdown", r.Warmdown, 0, 1}, {"final_lr", r.FinalLR, 0, 1}, {"skip_limit", float64(r.SkipLimit), 1, 1e9},
		{"log_every", float64(r.LogEvery), 1, 1e9}, {"eval_every", float64(r.EvalEvery), 1, 1e9},
		{"sample_every", float64(r.SampleEvery), 0, 1e9}, {"save_every", float64(r.SaveEvery), 1, 1e9},
		{"eval_batches", float64(r.EvalBatches), 1, 1e9},
	} {
		if math.IsNaN(check.value) || check.value < check.low || check.value > check.high {
			plain := func(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) } // no key takes 1e+06
			return fmt.Errorf("%s %s: must lie between %s and %s", check.key, plain(check.value), plain(check.low), plain(check.high))
		}
	}
	return nil
}
