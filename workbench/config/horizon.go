package config

import (
	"fmt"
	"math"

	"tandem/models"
)

// The laws of nanochat's base training, which were measured at 12 layers and carried on from there (reference: its
// scripts/base_train.py).
const (
	// DefaultRatio is the tokens for each scaling parameter, as in nanochat's speedrun.
	DefaultRatio = 8

	referenceDepth = 12
	referenceBatch = 1 << 19 // tokens of a step
	batchPower     = 0.383
	referenceDecay = 0.28
	// smallestBatch is where the rule for learning rates ends: nanochat takes no fewer tokens a step, and going on would
	// learn too slowly. MT of width 64, 400 steps of 256 tokens, one seed, bits per byte: 2.63 with 0.3 of the rates, 2.44
	// with 0.71, 2.40 with all; and 2.45 with 0.71 and no decay.
	smallestBatch = 1 << 18
	// Warmdown is the share of the steps over which learning rates fall.
	Warmdown = 0.65
	// leastSteps is below what a schedule has room for; the rule for batches would give a small model a few dozen.
	leastSteps = 500
)

// Horizon is how long a model trains, in steps of which size, and what follows for its rates.
type Horizon struct {
	// Scaling is the parameters that count for the length: the matrices of blocks, and the head. Reference is the same of
	// the model at 12 layers.
	Scaling, Reference int
	// Tokens is the length.
	Tokens int64
	// BatchTokens is the tokens of a step, a power of two.
	BatchTokens int
	ratio       float64
}

// NewHorizon derives the length and the batch of a model: ratio tokens for each scaling parameter, 0 being DefaultRatio,
// but at most so many if most is not 0.
func NewHorizon(model models.Config, ratio float64, most int64) (Horizon, error) {
	if ratio == 0 {
		ratio = DefaultRatio
	}
	if math.IsNaN(ratio) || ratio < 0 || ratio > 1e6 {
		return Horizon{}, fmt.Errorf("ratio %g: must lie between 0 and 1000000 tokens a parameter; 0 is %d", ratio, DefaultRatio)
	}
	h := Horizon{ratio: ratio}
	var err error
	if h.Scaling, err = scalingParameters(model); err != nil {
		return h, err
	}
	if h.Reference, err = scalingParameters(reference(model)); err != nil {
		return h, fmt.Errorf("horizon: the model at %d layers: %w", referenceDepth, err)
	}
	h.Tokens = max(1, int64(ratio*float64(h.Scaling)))
	if most > 0 {
		h.Tokens = min(h.Tokens, most)
	}
	best := referenceBatch * math.Pow(float64(h.Tokens)/(ratio*float64(h.Reference)), batchPower)
	h.BatchTokens = 1 << max(0, int(math.Round(math.Log2(best))))
	for h.BatchTokens > 1 && int64(h.BatchTokens)*leastSteps > h.Tokens {
		h.BatchTokens /= 2
	}
	return h, nil
}

// LRScale is the factor of all learning rates for steps of so many tokens.
func LRScale(batchTokens int) float64 {
	return math.Sqrt(float64(max(batchTokens, smallestBatch)) / referenceBatch)
}

// WeightDecay keeps rate · decay · steps, the part of a weight that is decayed away in all, as at 12 layers. Where LRScale
// is a pure root this is nanochat's 0.28 · √(batch / 2^19) · reference tokens / tokens. Trainings of fewer than 500 steps
// decay less, for a single step would take too much.
func (h Horizon) WeightDecay(steps int, lrScale float64) float64 {
	return referenceDecay * h.ratio * float64(h.Reference) / referenceBatch / float64(max(steps, leastSteps)) / lrScale
}

// The formulas of a horizon, for people.
var (
	ScalingFormula   = "weights of the blocks' matrices and of the head"
	ReferenceFormula = fmt.Sprintf("the same of this model at %d layers, width %d", referenceDepth, reference(models.Config{Pattern: "T"}).Resolved().Width)
	BatchFormula     = fmt.Sprintf("2^round(log2(2^19 · (tokens / (ratio · reference_parameters))^%g)), less if that makes fewer than %d steps", batchPower, leastSteps)
	LRScaleFormula   = "√(tokens_per_step / 2^19), with 2^18 for fewer tokens"
	DecayFormula     = fmt.Sprintf("%g · (ratio · reference_parameters / 2^19) / max(steps, %d) / lr_scale", referenceDecay, leastSteps)
)

// reference is the model stretched or shrunk to 12 layers, with its kinds in the same order and proportion, and the width
// of that depth. Options that do not suit that width give way to the defaults.
func reference(model models.Config) models.Config {
	pattern := make([]byte, referenceDepth)
	for i := range pattern {
		pattern[i] = model.Pattern[i*len(model.Pattern)/referenceDepth]
	}
	model.Pattern, model.Width = models.Pattern(pattern), 0
	if model.Validate() != nil {
		model.Blocks = nil
	}
	return model
}

func scalingParameters(config models.Config) (count int, err error) {
	model, err := models.New(config)
	if err != nil {
		return 0, err
	}
	for _, weight := range model.Weights() {
		if weight.Group == models.GroupMatrix || weight.Group == models.GroupHead {
			count += weight.Size()
		}
	}
	return count, nil
}
