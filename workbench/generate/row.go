package generate

import (
	"context"
	"fmt"
	"math"
	"slices"
)

// row is a request on its way through the engine. Only the loop touches it once it is queued; ended and kept may be read
// by others after ended is closed.
type row struct {
	Request
	ctx   context.Context
	index int // of the prompt, for Token.Row
	inbox *inbox

	history []int32 // prompt and drawn tokens
	start   int     // the first token that the state knows; those before were dropped
	fed     int     // tokens from start that the state has been fed
	made    int     // tokens drawn, the stop token not counted
	news    []Token // what the reader is to be told after the trip
	state   *state  // its own while it is fed; nil before that and in the batch

	ended chan struct{}
	kept  *Snapshot
}

func newRow(ctx context.Context, index int, request Request, inbox *inbox) *row {
	return &row{
		Request: request, ctx: ctx, index: index, inbox: inbox,
		history: slices.Clone(request.Prompt), ended: make(chan struct{}),
	}
}

// end closes the row; err is nil if it ended well.
func (r *row) end(err error) {
	close(r.ended)
	r.inbox.end(err)
}

// unfed are the tokens that must be fed before the row can draw: all but the last, which the first step feeds.
func (r *row) unfed() []int32 { return r.history[r.start+r.fed : len(r.history)-1] }

// room is the number of tokens that the row may still draw: each draw feeds one token first.
func (e *Engine) room(r *row) int {
	left := math.MaxInt32
	if r.MaxTokens > 0 {
		left = min(left, r.MaxTokens-r.made)
	}
	if r.Overflow != OverflowContinue {
		left = min(left, e.options.Capacity-(len(r.history)-1-r.start))
	}
	return left
}

// accept takes what a step drew for the row into its news: the token, and the end if this is it. finish is "" while the row
// goes on; full is true if it must slide before it can.
func (e *Engine) accept(r *row, id int32, logProb float32) (finish string, full bool, err error) {
	if math.IsNaN(float64(logProb)) {
		return "", false, fmt.Errorf("generate: token %d of row %d: the model's logits are not numbers; the weights are broken", r.made, r.index)
	}
	r.fed++
	r.history = append(r.history, id)
	if slices.Contains(r.Stop, id) {
		r.news = append(r.news, Token{Row: r.index, ID: id, LogProb: logProb, Finish: FinishStop})
		return FinishStop, false, nil
	}
	r.made++
	r.news = append(r.news, Token{Row: r.index, ID: id, LogProb: logProb})
	if e.room(r) > 0 {
		return "", false, nil
	}
	switch {
	case r.made == r.MaxTokens:
		finish = FinishLength
	case r.Overflow == OverflowSlide:
		return "", true, nil
	default:
		finish = FinishCapacity
	}
	r.news = append(r.news, Token{Row: r.index, ID: -1, Finish: finish})
	return finish, false, nil
}

// slide forgets the oldest tokens, so that the newest half of the capacity remains to be fed again.
func (e *Engine) slide(r *row) {
	keep := e.options.Capacity - e.options.Capacity/2
	r.start, r.fed = len(r.history)-keep, 0
}
