package lab

import (
	"errors"
	"fmt"
	"strconv"

	"tandem/models"
	"tandem/workbench/config"
	"tandem/xla"
)

// GPU is a card of the table.
type GPU = models.GPU

// ErrTooSmall is what Memory fails with when a training does not fit the card; its report is complete all the same.
var ErrTooSmall = errors.New("does not fit")

// MemoryReport is what a configured training and its model take, and how fast it trains, by prediction.
type MemoryReport struct {
	Pattern    string `json:"pattern"`
	Parameters int    `json:"parameters"`
	Vocab      int    `json:"vocab"`
	Context    int    `json:"context"`
	// Training is on CUDA in bfloat16.
	Training models.TrainingMemory `json:"training"`
	// FLOPsPerToken is of training: forward and backward.
	FLOPsPerToken float64          `json:"flops_per_token"`
	Inference     InferenceMemory  `json:"inference"`
	Card          *CardReport      `json:"gpu,omitempty"`
	StateRow      models.StateLine `json:"state_of_a_row"`
	// SmallestGPU is the card with the least memory that the training fits, "" if none does.
	SmallestGPU string `json:"smallest_gpu"`
}

// InferenceMemory is what generating takes for one row of the whole context.
type InferenceMemory struct {
	models.Parts
	Bytes int64 `json:"bytes"`
}

// CardReport is what a card means for a training.
type CardReport struct {
	GPU
	// Available is what a program may use of its memory.
	Available int64 `json:"available_bytes"`
	Fits      bool  `json:"fits"`
	// LargestBatch is the most rows of a pass that fit as configured, LargestCheckpointed with checkpoint 1; 0 is none.
	LargestBatch        int `json:"largest_batch"`
	LargestCheckpointed int `json:"largest_batch_checkpointed"`
	// LargestRows is the most rows of the whole context that can be decoded together.
	LargestRows int          `json:"largest_rows"`
	Speed       models.Speed `json:"speed"`
	// Settings are ways to train with the same rows a step that fit, the fastest first.
	Settings []models.Setting `json:"settings"`
}

// FindGPU finds a card by name; "auto" is this machine's.
func FindGPU(name string) (GPU, error) {
	if name != "auto" {
		return models.GPUByName(name)
	}
	found, err := xla.FindGPU()
	if err != nil {
		return GPU{}, fmt.Errorf("gpu auto: %w", err)
	}
	memory, err := strconv.Atoi(found.MemoryMiB)
	if err != nil {
		return GPU{}, fmt.Errorf("gpu auto: nvidia-smi says that %s has %q MiB; name a card with --gpu", found.Name, found.MemoryMiB)
	}
	return models.GPUOfMachine(found.Name, memory)
}

// Memory predicts what a configured training takes, and what that means for a card if one is given. It opens no backend
// and takes milliseconds. A training that does not fit the card is ErrTooSmall, with what to change.
func Memory(c *config.Config, gpu *GPU) (MemoryReport, error) {
	model, err := models.New(c.Model)
	if err != nil {
		return MemoryReport{}, err
	}
	training := c.Train.Memory(model)
	r := MemoryReport{
		Pattern: model.Config.Pattern.String(), Parameters: model.Parameters(), Vocab: model.Config.Vocab, Context: model.Config.Context,
		Training:      model.TrainingMemory(training),
		FLOPsPerToken: model.FLOPs(1, model.Config.Context) / float64(model.Config.Context), StateRow: model.StateLine(),
	}
	r.Inference.Parts = model.InferenceMemory(1, model.Config.Context)
	r.Inference.Bytes = r.Inference.Total()
	if smallest, ok := models.SmallestGPU(r.Training.Bytes); ok {
		r.SmallestGPU = smallest.Name
	}
	if gpu == nil {
		return r, nil
	}
	card := CardReport{GPU: *gpu, Available: gpu.Available(), Speed: model.Speed(training, *gpu)}
	card.Fits = r.Training.Bytes <= card.Available
	card.LargestBatch = model.LargestBatch(training, card.Available)
	card.LargestRows = model.LargestRows(model.Config.Context, card.Available)
	card.Settings = model.Settings(training, *gpu)
	checkpointed := training
	checkpointed.Checkpoint = 1
	card.LargestCheckpointed = model.LargestBatch(checkpointed, card.Available)
	r.Card = &card
	if card.Fits {
		return r, nil
	}
	return r, fmt.Errorf("memory: %s with batch %d and context %d takes %s and %w %s, which has %s for it; %s", r.Pattern,
		training.Batch, r.Context, Size(r.Training.Bytes), ErrTooSmall, gpu.Name, Size(card.Available), r.remedy())
}

// remedy says what to change so that the training fits its card.
func (r MemoryReport) remedy() string {
	if len(r.Card.Settings) > 0 {
		s := r.Card.Settings[0]
		return fmt.Sprintf("the fastest that fits is --batch %d --accumulate %d --checkpoint %d, with %s", s.Batch, s.Accumulate, s.Checkpoint, Size(s.Bytes))
	}
	remedy := "not even --batch 1 --checkpoint 1 fits: take fewer layers, a smaller vocabulary or a shorter context"
	if r.SmallestGPU != "" {
		remedy += fmt.Sprintf("; as it is it fits %s", r.SmallestGPU)
	}
	return remedy
}

// Size is a number of bytes for people; 0 has no unit.
func Size(bytes int64) string {
	if bytes == 0 {
		return "0"
	}
	size, unit := SizeUnit(bytes)
	return fmt.Sprintf("%.2f %s", float64(bytes)/size, unit)
}

// SizeUnit is the unit in which two digits after the point say something of so many bytes, and its size: GiB, or a smaller
// one for small models.
func SizeUnit(bytes int64) (size float64, name string) {
	switch {
	case bytes >= 1<<30/10:
		return 1 << 30, "GiB"
	case bytes >= 1<<20/10:
		return 1 << 20, "MiB"
	}
	return 1 << 10, "KiB"
}
