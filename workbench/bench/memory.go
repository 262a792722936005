package bench

import (
	"context"
	"fmt"
	"regexp"
	"strconv"

	"tandem/models"
	"tandem/workbench/train"
	"tandem/xla"
)

// MemoryCase is one training whose memory is predicted and measured.
type MemoryCase struct {
	Pattern    string `json:"pattern"`
	Batch      int    `json:"batch"`
	Context    int    `json:"context"`
	Checkpoint int    `json:"checkpoint"`
	Accumulate int    `json:"accumulate"`
}

// String is the case as ParseMemoryCase reads it.
func (c MemoryCase) String() string {
	return fmt.Sprintf("%s:%dx%d:%d:%d", c.Pattern, c.Batch, c.Context, c.Checkpoint, c.Accumulate)
}

var memoryCase = regexp.MustCompile(`^([^:]+):(\d{1,6})x(\d{1,7})(?::(\d{1,4}))?(?::(\d{1,4}))?$`)

// ParseMemoryCase reads PATTERN:BATCHxCONTEXT[:CHECKPOINT[:ACCUMULATE]], such as T20:4x1024:1:8.
func ParseMemoryCase(text string) (MemoryCase, error) {
	parts := memoryCase.FindStringSubmatch(text)
	if parts == nil {
		return MemoryCase{}, fmt.Errorf("case %q: write PATTERN:BATCHxCONTEXT[:CHECKPOINT[:ACCUMULATE]], such as T20:4x1024:1:8", text)
	}
	pattern, err := models.ParsePattern(parts[1])
	if err != nil {
		return MemoryCase{}, fmt.Errorf("case %q: %w", text, err)
	}
	numbers := make([]int, len(parts))
	for i, part := range parts[2:] {
		numbers[i], _ = strconv.Atoi(part) // digits alone, or nothing for zero
	}
	c := MemoryCase{pattern.String(), numbers[0], numbers[1], numbers[2], max(1, numbers[3])}
	if c.Batch < 1 || c.Context < 1 {
		return MemoryCase{}, fmt.Errorf("case %q: batch and context must be at least 1", text)
	}
	return c, nil
}

// MemoryGrid is what is measured if no cases are given: every pattern at three depths with and without checkpoints, and at
// 12 layers also few tokens and long rows.
func MemoryGrid() []MemoryCase {
	var grid []MemoryCase
	for _, shape := range []struct {
		depth, batch, context int
		checkpoints           []int
	}{{8, 16, 1024, []int{0, 1}}, {12, 8, 2048, []int{0, 1}}, {12, 2, 512, []int{0}}, {12, 4, 8192, []int{0}}, {20, 16, 2048, []int{0, 1}}} {
		for _, pattern := range []string{fmt.Sprintf("T%d", shape.depth), fmt.Sprintf("M%d", shape.depth), fmt.Sprintf("(TM)%d", shape.depth/2)} {
			for _, checkpoint := range shape.checkpoints {
				grid = append(grid, MemoryCase{pattern, shape.batch, shape.context, checkpoint, 1})
			}
		}
	}
	return grid
}

// MemoryOptions say how to measure.
type MemoryOptions struct {
	Vocab int
	// Pass measures forward and backward alone, not whole optimizer steps.
	Pass bool
	// Limit is all that XLA may take of the GPU's memory, in bytes; 0 is its usual share.
	Limit int64
	// Steps is how many are run; 0 is 3.
	Steps int
}

// MemoryResult compares the prediction with what XLA planned and what its allocator held.
type MemoryResult struct {
	MemoryCase
	Device string `json:"device"`
	What   string `json:"what"`
	Limit  int64  `json:"limit_bytes,omitempty"`
	// Predicted is models.Model.TrainingMemory, At its moment; Planned is XLA's own analysis of the compiled programs, Peak
	// the most that the allocator held while Steps were run. Zero is unknown.
	Predicted int64  `json:"predicted_bytes"`
	At        string `json:"at"`
	Planned   int64  `json:"planned_bytes"`
	Peak      int64  `json:"peak_bytes"`
	Steps     int    `json:"steps"`
	// Problem is why the case did not run to its end, "" if it did.
	Problem string `json:"problem,omitempty"`
}

// CanMeasureMemory tells why memory cannot be measured here, if it cannot.
func CanMeasureMemory() error {
	for _, found := range xla.Inspect() {
		if found.Kind == "cuda" && !found.Usable {
			return fmt.Errorf("bench memory: the Go backend plans no memory, and CUDA, which does, is not here: %s", found.Detail)
		}
	}
	return nil
}

// Memory runs one case on CUDA. The allocator's peak is that of the whole process, so a process should measure but
// one. What it found before an error is in the measurement.
func Memory(ctx context.Context, c MemoryCase, o MemoryOptions) (MemoryResult, error) {
	m := MemoryResult{MemoryCase: c, What: "step", Limit: o.Limit}
	if err := CanMeasureMemory(); err != nil {
		return m, err
	}
	pattern, err := models.ParsePattern(c.Pattern)
	if err != nil {
		return m, err
	}
	model, err := models.New(models.Config{Pattern: pattern, Vocab: o.Vocab, Context: c.Context})
	if err != nil {
		return m, err
	}
	options := train.Options{Batch: c.Batch, Accumulate: c.Accumulate, Checkpoint: c.Checkpoint}.Resolved()
	training := options.Memory(model)
	if o.Pass {
		m.What, training = "forward and backward", models.Training{Batch: c.Batch, Checkpoint: c.Checkpoint}
	}
	predicted := model.TrainingMemory(training)
	m.Predicted, m.At = predicted.Bytes, predicted.At
	device, err := openWithin(o.Limit)
	if err != nil {
		return m, err
	}
	defer device.Finalize()
	m.Device = device.Description()
	measure := m.steps
	if o.Pass {
		measure = m.passes
	}
	if o.Steps == 0 {
		o.Steps = 3
	}
	err = measure(ctx, device, model, options, o.Steps)
	if use, unknown := device.MemoryUse(); unknown == nil {
		m.Peak = use.Peak
	}
	return m, err
}

func openWithin(limit int64) (*xla.Device, error) {
	if limit == 0 {
		return xla.Open("cuda")
	}
	return xla.OpenWithin(limit)
}

// steps runs whole optimizer steps.
func (m *MemoryResult) steps(ctx context.Context, device *xla.Device, model *models.Model, options train.Options, steps int) error {
	trainer, err := train.New(device, model, options)
	if err != nil {
		return err
	}
	defer trainer.Close()
	if m.Planned, err = trainer.PlannedMemory(); err != nil {
		return err
	}
	batches := make([]train.Batch, options.Accumulate)
	for i := range batches {
		batches[i] = randomBatch(model, options.Batch)
	}
	for ; m.Steps < steps && ctx.Err() == nil; m.Steps++ {
		if err := trainer.Step(batches); err != nil {
			return err
		}
		if _, err := trainer.Flush(); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// passes runs forward and backward alone.
func (m *MemoryResult) passes(ctx context.Context, device *xla.Device, model *models.Model, options train.Options, steps int) error {
	pass, err := train.NewPass(device, model, options)
	if err != nil {
		return err
	}
	defer pass.Close()
	planned, err := pass.Memory()
	if err != nil {
		return err
	}
	m.Planned = planned.Peak()
	weights, batch := randomWeights(model), randomBatch(model, options.Batch)
	for ; m.Steps < steps && ctx.Err() == nil; m.Steps++ {
		if _, err := pass.Run(weights, batch); err != nil {
			return err
		}
	}
	return ctx.Err()
}
