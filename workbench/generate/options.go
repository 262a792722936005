package generate

import (
	"fmt"
	"math"
	"slices"
)

// Options size an Engine. Zero values mean the default.
type Options struct {
	// Capacity is the tokens that a row can hold, prompt included; 0 is the model's context.
	Capacity int
	// Rows is how many requests are decoded together at most; 0 is 32 on CUDA and 8 elsewhere.
	Rows int
	// Queue is how many requests may wait for a row; 0 is 1024. Beyond it Submit fails with ErrBusy.
	Queue int
	// TokensPerTrip is how many tokens a row gets per visit of the host: 0 is 1 on the Go backend, where a visit costs
	// nothing, and 32 elsewhere, where it costs about 2 ms. Requests join, leave and stream between trips.
	TokensPerTrip int
	// Chunks are the lengths in which prompts are fed, each one compiled on first use; nil is 16, 64 and 256, and on CUDA
	// 1024 as well.
	Chunks []int
}

// resolved fills in the defaults for a backend and a model's context.
func (o Options) resolved(kind string, context int) (Options, error) {
	if o.Capacity < 0 || o.Rows < 0 || o.Queue < 0 || o.TokensPerTrip < 0 || slices.ContainsFunc(o.Chunks, func(n int) bool { return n < 1 }) {
		return o, fmt.Errorf("generate options %+v: none may be negative, nor a chunk be empty; 0 is the default", o)
	}
	o.Capacity = orDefault(o.Capacity, context)
	o.Queue = orDefault(o.Queue, 1024)
	if kind == "cuda" {
		o.Rows = orDefault(o.Rows, 32)
	}
	o.Rows = orDefault(o.Rows, 8)
	if kind == "go" {
		o.TokensPerTrip = orDefault(o.TokensPerTrip, 1)
	}
	o.TokensPerTrip = orDefault(o.TokensPerTrip, 32)
	if len(o.Chunks) == 0 {
		o.Chunks = []int{16, 64, 256}
		if kind == "cuda" {
			o.Chunks = append(o.Chunks, 1024)
		}
	}
	o.Chunks = slices.Sorted(slices.Values(o.Chunks))
	return o, nil
}

func orDefault(value, fallback int) int {
	if value == 0 {
		return fallback
	}
	return value
}

// Sampling says how a row's next token is chosen. The logits first go through RepetitionPenalty, then Temperature. A
// token is kept if the tokens strictly likelier than it number fewer than TopK and hold less probability than TopP, and
// if it has at least MinP times the probability of the likeliest; equally likely tokens stay or go together. One of the
// kept tokens is drawn in proportion to its probability. The zero value takes the likeliest token, of equals the one with
// the lowest id.
type Sampling struct {
	// Temperature divides the logits; below 1e-4 the likeliest token is taken.
	Temperature float64
	// TopK keeps the k likeliest tokens; 0 keeps all.
	TopK int
	// TopP keeps the likeliest tokens that together reach this probability (Holtzman et al. 2019, arXiv:1904.09751,
	// section 3.1); 0 and 1 keep all.
	TopP float64
	// MinP keeps tokens of at least this share of the likeliest token's probability (Nguyen et al. 2024,
	// arXiv:2407.01082); 0 keeps all.
	MinP float64
	// RepetitionPenalty divides positive logits of tokens that the row already holds and multiplies negative ones
	// (Keskar et al. 2019, arXiv:1909.05858, section 4.1); 0 and 1 are none.
	RepetitionPenalty float64
	// Seed and the position of a token in its row fix its draw, whatever else is in the batch.
	Seed uint64
}

// Validate reports the first value out of range.
func (s Sampling) Validate() error {
	for _, field := range []struct {
		name      string
		value     float64
		low, high float64
	}{
		{"temperature", s.Temperature, 0, 100},
		{"top_k", float64(s.TopK), 0, 1 << 24},
		{"top_p", s.TopP, 0, 1},
		{"min_p", s.MinP, 0, 1},
		{"repetition_penalty", s.RepetitionPenalty, 0, 100},
	} {
		if math.IsNaN(field.value) || field.value < field.low || field.value > field.high {
			return fmt.Errorf("sampling: %s %g: must lie between %g and %.0f", field.name, field.value, field.low, field.high)
		}
	}
	const leastPenalty = 0.01 // below it logits overflow
	if s.RepetitionPenalty > 0 && s.RepetitionPenalty < leastPenalty {
		return fmt.Errorf("sampling: repetition_penalty %g: must be 0 for none, or lie between %g and 100", s.RepetitionPenalty, leastPenalty)
	}
	return nil
}

// limited says whether top-k or top-p can keep a token from being drawn; the likeliest is always kept.
func (s Sampling) limited() bool {
	columns := s.row()
	return columns[optionNoise] == 1 && (columns[optionTopK] < noLimit || columns[optionTopP] < noLimit)
}

// Columns of the options that a step takes, float32 [B,F].
const (
	optionScale    = iota // 1/temperature
	optionNoise           // 1 draws, 0 takes the likeliest
	optionTopK            // kept tokens
	optionTopP            // kept probability
	optionDistance        // -ln(min_p): how far below the likeliest a kept token's scaled logit may lie
	optionPenalty
	optionCount
)

// noLimit is larger than any count of tokens, probability or distance.
const noLimit = float32(1e30)

// row gives the values of the option columns.
func (s Sampling) row() [optionCount]float32 {
	values := [optionCount]float32{optionScale: 1, optionTopK: noLimit, optionTopP: noLimit, optionDistance: noLimit, optionPenalty: 1}
	if s.Temperature >= 1e-4 {
		values[optionScale], values[optionNoise] = float32(1/s.Temperature), 1
	}
	if s.TopK > 0 {
		values[optionTopK] = float32(s.TopK)
	}
	if s.TopP > 0 && s.TopP < 1 {
		values[optionTopP] = float32(s.TopP)
	}
	if s.MinP > 0 {
		values[optionDistance] = float32(-math.Log(s.MinP))
	}
	if s.RepetitionPenalty > 0 {
		values[optionPenalty] = float32(s.RepetitionPenalty)
	}
	return values
}
