package bench

import (
	"context"
	"fmt"
	"slices"
	"time"

	"tandem/workbench/config"
	"tandem/workbench/generate"
)

// DecodeOptions say how to measure an engine.
type DecodeOptions struct {
	// Rows are the numbers of rows decoded together, one measurement each. Every row draws Tokens tokens after a prompt of
	// Prompt tokens.
	Rows           []int
	Prompt, Tokens int
	// Trip is the tokens a row gets per visit of the host; 0 is the engine's default.
	Trip int
	// PeakGBPerSecond is the device's memory bandwidth, if it is known; 0 measures it by a large copy.
	PeakGBPerSecond float64
}

// DecodeResult is what generating costs on a device.
type DecodeResult struct {
	Device  string `json:"device"`
	Pattern string `json:"pattern"`
	Rows    int    `json:"rows"`
	Prompt  int    `json:"prompt"`
	Tokens  int    `json:"tokens"`
	// Trip is the tokens that a row got per visit of the host.
	Trip int `json:"tokens_per_trip"`
	// PrefillTokensPerSecond is of feeding all prompts; FirstSeconds is until every row had its first token.
	PrefillTokensPerSecond float64 `json:"prefill_tokens_per_second"`
	FirstSeconds           float64 `json:"first_seconds"`
	// TokensPerSecond is of all rows together after each has had its first trip, MillisecondsPerToken the time in which
	// each row gets one.
	TokensPerSecond      float64 `json:"tokens_per_second"`
	MillisecondsPerToken float64 `json:"milliseconds_per_token"`
	// StateBytes is one row's state, WeightBytes what a step reads of weights, GBPerSecond both for all rows over its time.
	StateBytes  int64   `json:"state_bytes"`
	WeightBytes int64   `json:"weight_bytes"`
	GBPerSecond float64 `json:"gb_per_second"`
	// PeakGBPerSecond is the rate of a large copy on this device, PeakShare the decoding's share of it.
	PeakGBPerSecond float64 `json:"peak_gb_per_second"`
	PeakShare       float64 `json:"peak_share"`
}

// Decode measures greedy decoding of a model with random weights, with one engine for all numbers of rows, and gives
// each result to emit as it comes. Each is measured after a run of the same that compiles.
func Decode(ctx context.Context, c *config.Config, o DecodeOptions, say func(string), emit func(DecodeResult) error) error {
	if err := o.validate(); err != nil {
		return err
	}
	needs := fmt.Sprintf("bench decode: a prompt of %d and %d tokens", o.Prompt, o.Tokens)
	opened, err := openEngine(c, needs, o.Prompt+o.Tokens, generate.Options{Rows: slices.Max(o.Rows), TokensPerTrip: o.Trip}, say)
	if err != nil {
		return err
	}
	defer opened.close()
	trip := opened.engine.Options().TokensPerTrip
	if o.Tokens <= trip {
		return mistake("bench decode: tokens %d: a row gets %d at once, and the first ones are not measured; give more than that", o.Tokens, trip)
	}
	if o.PeakGBPerSecond == 0 {
		if o.PeakGBPerSecond, err = copyPeak(opened.device); err != nil {
			return err
		}
	}
	for _, rows := range o.Rows {
		b := DecodeResult{
			Device: opened.device.Description(), Pattern: opened.model.Config.Pattern.String(), Rows: rows, Prompt: o.Prompt, Tokens: o.Tokens, Trip: trip,
			StateBytes: opened.engine.RowBytes(), WeightBytes: opened.weightBytes(), PeakGBPerSecond: o.PeakGBPerSecond,
		}
		for range 2 { // the first one compiles
			if err := b.measure(ctx, opened); err != nil {
				return err
			}
		}
		if err := emit(b); err != nil {
			return err
		}
	}
	return nil
}

func (o DecodeOptions) validate() error {
	if len(o.Rows) == 0 {
		return mistake("bench decode: no number of rows is given; write for example --rows 1,8,64")
	}
	if smallest := slices.Min(o.Rows); smallest < 1 || o.Prompt < 1 || o.Tokens < 1 || o.Trip < 0 || o.PeakGBPerSecond < 0 {
		return mistake("bench decode: rows %d, prompt %d, tokens %d, trip %d, bandwidth %g: the first three must be positive, the others not negative",
			smallest, o.Prompt, o.Tokens, o.Trip, o.PeakGBPerSecond)
	}
	return nil
}

// measure generates once from random prompts. A row gets the tokens of a trip all at once, so that time runs from the
// moment when every row has had a whole one.
func (b *DecodeResult) measure(ctx context.Context, opened *randomEngine) error {
	started, first, whole, drawn := time.Now(), time.Time{}, time.Time{}, 0
	got, without, behind := make([]int, b.Rows), b.Rows, b.Rows
	prompts := randomPrompts(opened.model.Config.Vocab, b.Rows, b.Prompt)
	for token, err := range opened.engine.Generate(ctx, prompts, generate.GenerateOptions{MaxTokens: b.Tokens}) {
		if err != nil {
			return err
		}
		if token.Finish != "" {
			continue
		}
		drawn++
		got[token.Row]++
		if got[token.Row] == 1 {
			if without--; without == 0 {
				first = time.Now()
			}
		}
		if got[token.Row] == b.Trip {
			if behind--; behind == 0 {
				whole, drawn = time.Now(), 0
			}
		}
	}
	b.FirstSeconds = first.Sub(started).Seconds()
	b.PrefillTokensPerSecond = float64(b.Rows*b.Prompt) / b.FirstSeconds
	b.TokensPerSecond = float64(drawn) / time.Since(whole).Seconds()
	b.MillisecondsPerToken = 1000 * float64(b.Rows) / b.TokensPerSecond
	b.GBPerSecond = (float64(b.WeightBytes) + float64(b.Rows)*float64(b.StateBytes)) / 1e6 / b.MillisecondsPerToken
	b.PeakShare = b.GBPerSecond / b.PeakGBPerSecond
	return nil
}
