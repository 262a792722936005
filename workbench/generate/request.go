package generate

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Overflow says what happens when a row holds as many tokens as its capacity and is not done.
type Overflow string

const (
	// OverflowError refuses a longer prompt, and ends a row that becomes full with FinishCapacity.
	OverflowError Overflow = ""
	// OverflowSlide drops the oldest tokens, so that the newest half of the capacity remains, and feeds that again.
	OverflowSlide Overflow = "slide"
	// OverflowContinue goes on for ever. Only a model whose state does not grow with its tokens can.
	OverflowContinue Overflow = "continue"
)

// Request is one row to continue.
type Request struct {
	// Prompt is all tokens so far, at least one.
	Prompt []int32
	// MaxTokens is the tokens to add at most; 0 goes on to a stop token or, by Overflow, the capacity.
	MaxTokens int
	// Stop ends the row at any of these tokens, 16 at most.
	Stop []int32
	// Sampling is the choice of each token.
	Sampling Sampling
	// Overflow is what happens when the row is full.
	Overflow Overflow
	// From is a snapshot whose tokens the prompt begins with; nil starts from an empty state.
	From *Snapshot
	// Keep asks for a Snapshot at the end, which the caller must Release.
	Keep bool
}

// validate reports what is wrong with a request for this engine.
func (e *Engine) validate(r Request) error {
	switch {
	case len(r.Prompt) == 0:
		return errors.New("the prompt is empty; give at least one token, such as the one that begins a document")
	case r.MaxTokens < 0:
		return fmt.Errorf("max tokens %d: may not be negative; 0 is no limit", r.MaxTokens)
	case len(r.Stop) > maxStops:
		return fmt.Errorf("%d stop tokens: at most %d are supported", len(r.Stop), maxStops)
	}
	for _, list := range []struct {
		name string
		ids  []int32
	}{{"prompt", r.Prompt}, {"stop", r.Stop}} {
		if i := slices.IndexFunc(list.ids, func(id int32) bool { return id < 0 || int(id) >= e.model.Config.Vocab }); i >= 0 {
			return fmt.Errorf("%s token %d is %d: must lie between 0 and %d", list.name, i, list.ids[i], e.model.Config.Vocab-1)
		}
	}
	if r.From != nil && r.From.engine != e {
		return errors.New("the snapshot is of another engine")
	}
	known := 0 // tokens that the snapshot has dropped and the prompt still has
	if r.From != nil {
		if err := r.From.check(r.Prompt); err != nil {
			return fmt.Errorf("the snapshot does not fit: %w", err)
		}
		known = r.From.start
	}
	switch r.Overflow {
	case OverflowError:
		if count := len(r.Prompt) - known; count > e.options.Capacity {
			return fmt.Errorf("the prompt has %d tokens, the capacity is %d; shorten the prompt, raise the capacity, or choose overflow %q", count, e.options.Capacity, OverflowSlide)
		}
	case OverflowSlide:
	case OverflowContinue:
		if e.grows() {
			return fmt.Errorf("overflow %q: the state of pattern %s grows with its tokens; use %q", r.Overflow, e.model.Config.Pattern, OverflowSlide)
		}
	default:
		return fmt.Errorf("overflow %q: unknown; use \"\" (an error), %q or %q", r.Overflow, OverflowSlide, OverflowContinue)
	}
	return r.Sampling.Validate()
}

// Submit puts a request in the queue. It fails at once if the request is wrong, the queue is full (ErrBusy) or the engine
// closed (ErrClosed). When ctx ends, so does the request, with the context's error.
func (e *Engine) Submit(ctx context.Context, request Request) (*Stream, error) {
	rows, err := e.submit(ctx, []Request{request})
	if err != nil {
		return nil, err
	}
	return &Stream{inbox: rows[0].inbox, row: rows[0]}, nil
}

// submit queues requests together, so that they also start together, with one inbox for all.
func (e *Engine) submit(ctx context.Context, requests []Request) ([]*row, error) {
	for i, request := range requests {
		if err := e.validate(request); err != nil {
			return nil, fmt.Errorf("generate: request %d: %w", i, err)
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	switch waiting := len(e.queue); {
	case e.closed:
		return nil, fmt.Errorf("generate: %w", ErrClosed)
	case len(requests) > e.options.Queue:
		return nil, fmt.Errorf("generate: %d requests at once never fit in a queue of %d; give fewer at once or raise the queue", len(requests), e.options.Queue)
	case waiting+len(requests) > e.options.Queue:
		return nil, fmt.Errorf("generate: %w: %d, and %d more do not fit in a queue of %d; try again later or raise the queue", ErrBusy, waiting, len(requests), e.options.Queue)
	}
	inbox, ctx := newInbox(ctx, len(requests))
	rows := make([]*row, len(requests))
	for i, request := range requests {
		rows[i] = newRow(ctx, i, request, inbox)
	}
	e.queue = append(e.queue, rows...)
	e.signal()
	return rows, nil
}
