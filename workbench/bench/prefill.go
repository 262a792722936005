package bench

import (
	"context"
	"fmt"
	"slices"
	"time"

	"tandem/workbench/config"
	"tandem/workbench/generate"
)

// PrefillOptions say how to measure the feeding of prompts.
type PrefillOptions struct {
	// Prompts are lengths in tokens, one measurement each.
	Prompts []int
	// Repeats is the measured runs, after two that are not.
	Repeats int
}

// PrefillResult is what a prompt costs on a device before its first token.
type PrefillResult struct {
	Device  string `json:"device"`
	Pattern string `json:"pattern"`
	// Prompt is its tokens, of which the engine feeds the last with the first step.
	Prompt int `json:"prompt"`
	// Chunks are the lengths in which the engine feeds prompts.
	Chunks []int `json:"chunks"`
	// FirstSeconds is the median time to the first token, TokensPerSecond the prompt over it.
	FirstSeconds    float64 `json:"first_seconds"`
	TokensPerSecond float64 `json:"tokens_per_second"`
	// StateBytes is the row's state, which holds the longest prompt that is measured.
	StateBytes int64 `json:"state_bytes"`
}

// Prefill measures the time from a prompt to its first token, of a model with random weights and one row at a time,
// and gives each result to emit as it comes.
func Prefill(ctx context.Context, c *config.Config, o PrefillOptions, say func(string), emit func(PrefillResult) error) error {
	if len(o.Prompts) == 0 {
		return mistake("bench prefill: no length is given; write for example --prompt 128,1024")
	}
	if shortest := slices.Min(o.Prompts); shortest < 1 || o.Repeats < 1 {
		return mistake("bench prefill: prompt %d, repeats %d: both must be positive", shortest, o.Repeats)
	}
	longest := slices.Max(o.Prompts)
	// A trip of one token, for the others of a longer one would count.
	opened, err := openEngine(c, fmt.Sprintf("bench prefill: a prompt's %d tokens", longest), longest, generate.Options{Rows: 1, TokensPerTrip: 1}, say)
	if err != nil {
		return err
	}
	defer opened.close()
	for _, length := range o.Prompts {
		b := PrefillResult{
			Device: opened.device.Description(), Pattern: opened.model.Config.Pattern.String(), Prompt: length,
			Chunks: opened.engine.Options().Chunks, StateBytes: opened.engine.RowBytes(),
		}
		prompts := randomPrompts(opened.model.Config.Vocab, 1, length)
		var seconds []float64
		for i := range warmup + o.Repeats {
			took, err := opened.firstToken(ctx, prompts)
			if err != nil {
				return err
			}
			if i >= warmup {
				seconds = append(seconds, took)
			}
		}
		slices.Sort(seconds)
		b.FirstSeconds = seconds[len(seconds)/2]
		b.TokensPerSecond = float64(length) / b.FirstSeconds
		if err := emit(b); err != nil {
			return err
		}
	}
	return nil
}

// firstToken is the time to it.
func (e *randomEngine) firstToken(ctx context.Context, prompts [][]int32) (seconds float64, err error) {
	started := time.Now()
	for token, err := range e.engine.Generate(ctx, prompts, generate.GenerateOptions{MaxTokens: 1}) {
		if err != nil {
			return 0, err
		}
		if token.Finish == "" {
			seconds = time.Since(started).Seconds()
		}
	}
	return seconds, nil
}
