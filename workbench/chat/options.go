package chat

import (
	"context"
	"errors"
	"fmt"

	"tandem/workbench/generate"
)

// ErrTooLong means that a conversation does not fit the model's context.
var ErrTooLong = errors.New("the conversation is too long")

// OverflowForget drops the oldest exchanges of a conversation that is too long, a user's message with its answer each,
// so that half of the capacity is free again where it can be. The system message stays. The other choices are
// generate's.
const OverflowForget generate.Overflow = "forget"

// Limits of stop strings.
const (
	maxStopStrings = 16
	maxStopBytes   = 256
)

// Tool runs the code that a model writes between <|python_start|> and <|python_end|>. Its result goes back to the model;
// after an error the model goes on without one.
type Tool func(ctx context.Context, code string) (result string, err error)

// Options say how to answer. The zero value takes the likeliest token each time.
type Options struct {
	// MaxTokens is the tokens of the answer at most, tool calls included; 0 is as many as the capacity.
	MaxTokens int
	// Stop ends the answer before any of these strings, 16 at most.
	Stop []string
	// Sampling is the choice of each token.
	Sampling generate.Sampling
	// Overflow is what happens when the conversation is longer than the capacity.
	Overflow generate.Overflow
	// Tool runs the model's code; nil is Calculator.
	Tool Tool
	// Keep asks for an Answer's Thread.
	Keep bool
}

// Validate reports the first value out of range. What depends on the model is checked when a question is asked.
func (o Options) Validate() error {
	if o.MaxTokens < 0 {
		return fmt.Errorf("max tokens %d: may not be negative; 0 is as many as fit", o.MaxTokens)
	}
	if len(o.Stop) > maxStopStrings {
		return fmt.Errorf("%d stop strings: at most %d are supported", len(o.Stop), maxStopStrings)
	}
	for i, stop := range o.Stop {
		switch {
		case stop == "":
			return fmt.Errorf("stop string %d is empty; leave it out", i)
		case len(stop) > maxStopBytes:
			return fmt.Errorf("stop string %d has %d bytes; at most %d are supported", i, len(stop), maxStopBytes)
		case invalidUTF8(stop) >= 0:
			return fmt.Errorf("stop string %d is not valid UTF-8 at byte %d", i, invalidUTF8(stop))
		}
	}
	return o.Sampling.Validate()
}
