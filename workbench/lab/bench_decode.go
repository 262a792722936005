package lab

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"tandem/models"
	"tandem/workbench/config"
	"tandem/workbench/generate"
	"tandem/xla"
)

// DecodeOptions say how to measure an engine.
type DecodeOptions struct {
	// Rows are decoded together, each after a prompt of Prompt tokens, for Tokens tokens. Zeros are 1, 16 and 64.
	Rows, Prompt, Tokens int
}

// DecodeBench is what generating costs on a device.
type DecodeBench struct {
	Device  string `json:"device"`
	Pattern string `json:"pattern"`
	Rows    int    `json:"rows"`
	Prompt  int    `json:"prompt"`
	Tokens  int    `json:"tokens"`
	// PrefillTokensPerSecond is of feeding all prompts; FirstSeconds is until every row had its first token.
	PrefillTokensPerSecond float64 `json:"prefill_tokens_per_second"`
	FirstSeconds           float64 `json:"first_seconds"`
	// TokensPerSecond is of all rows together after that, MillisecondsPerToken the time in which each row gets one.
	TokensPerSecond      float64 `json:"tokens_per_second"`
	MillisecondsPerToken float64 `json:"milliseconds_per_token"`
	// StateBytes is one row's state, WeightBytes what a step reads of weights, GBPerSecond both for all rows over its time.
	StateBytes  int64   `json:"state_bytes"`
	WeightBytes int64   `json:"weight_bytes"`
	GBPerSecond float64 `json:"gb_per_second"`
}

// BenchDecode measures greedy decoding of a model with random weights, after a run of the same that compiles.
func BenchDecode(ctx context.Context, c *config.Config, o DecodeOptions, say func(string)) (DecodeBench, error) {
	o.Rows, o.Prompt, o.Tokens = max(o.Rows, 1), max(o.Prompt, 1), max(o.Tokens, 2)
	model, err := models.New(c.Model)
	if err != nil {
		return DecodeBench{}, err
	}
	if o.Prompt+o.Tokens > model.Config.Context {
		return DecodeBench{}, fmt.Errorf("bench decode: a prompt of %d and %d tokens do not fit the context %d; raise --context", o.Prompt, o.Tokens, model.Config.Context)
	}
	device, err := xla.Open(c.Backend)
	if err != nil {
		return DecodeBench{}, err
	}
	defer device.Finalize()
	say(device.Summary())
	engine, err := generate.New(device, model, randomWeights(model), generate.Options{Rows: o.Rows, Capacity: o.Prompt + o.Tokens})
	if err != nil {
		return DecodeBench{}, err
	}
	defer engine.Close()
	b := DecodeBench{
		Device: device.Description(), Pattern: model.Config.Pattern.String(), Rows: o.Rows, Prompt: o.Prompt, Tokens: o.Tokens,
		StateBytes: engine.RowBytes(), WeightBytes: int64(model.Parameters()-model.Config.Vocab*model.Config.Width) * int64(device.Compute.Size()),
	}
	for range 2 { // the first one compiles
		if err := b.measure(ctx, engine, model.Config.Vocab); err != nil {
			return b, err
		}
	}
	return b, nil
}

// measure generates once from random prompts. After the first tokens all rows go on together.
func (b *DecodeBench) measure(ctx context.Context, engine *generate.Engine, vocab int) error {
	random := rand.New(rand.NewPCG(4, 5))
	prompts := make([][]int32, b.Rows)
	for i := range prompts {
		prompts[i] = make([]int32, b.Prompt)
		for j := range prompts[i] {
			prompts[i][j] = random.Int32N(int32(vocab))
		}
	}
	started, first, drawn, behind := time.Now(), time.Time{}, 0, b.Rows
	seen := make([]bool, b.Rows)
	for token, err := range engine.Generate(ctx, prompts, generate.GenerateOptions{MaxTokens: b.Tokens}) {
		if err != nil {
			return err
		}
		if token.Finish != "" {
			continue
		}
		if drawn++; !seen[token.Row] {
			seen[token.Row] = true
			if behind--; behind == 0 {
				first, drawn = time.Now(), 0
			}
		}
	}
	seconds := time.Since(first).Seconds()
	b.FirstSeconds = first.Sub(started).Seconds()
	b.PrefillTokensPerSecond = float64(b.Rows*b.Prompt) / b.FirstSeconds
	b.TokensPerSecond = float64(drawn) / seconds
	b.MillisecondsPerToken = 1000 * float64(b.Rows) / b.TokensPerSecond
	b.GBPerSecond = (float64(b.WeightBytes) + float64(b.Rows)*float64(b.StateBytes)) / 1e6 / b.MillisecondsPerToken
	return nil
}
