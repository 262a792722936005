package chat

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"tandem/workbench/generate"
)

// Usage counts an answer's tokens and its time.
type Usage struct {
	// Prompt is the tokens before the answer, Reused those of them that did not have to be fed again.
	Prompt, Reused int
	// Answer is the tokens that the model drew, without the one that ended it.
	Answer int
	// First is the time to the first token, Total that to the last.
	First, Total time.Duration
}

// TokensPerSecond is the speed after the first token; 0 if there were fewer than two.
func (u Usage) TokensPerSecond() float64 {
	if u.Answer < 2 || u.Total <= u.First {
		return 0
	}
	return float64(u.Answer-1) / (u.Total - u.First).Seconds()
}

// Answer is a running answer. Range over Deltas or call Close, or the state it holds stays on the device.
type Answer struct {
	assembler
	model    *Model
	ctx      context.Context
	cancel   context.CancelFunc
	options  Options
	messages []Message // of the conversation; nil in a completion
	prompt   int       // tokens before the answer
	tokens   []int32   // all so far
	drawn    []drawn   // for the trace

	row     Row   // the one that goes on; nil if it could not be started
	from    State // where it started
	own     bool  // from is the answer's to release
	closed  bool
	started time.Time
	usage   Usage
	finish  string
	thread  *Thread
}

// start continues the tokens so far, from a.from if the engine takes it.
func (a *Answer) start() error {
	t := a.template
	a.row = nil
	request := generate.Request{
		Prompt: a.tokens, MaxTokens: a.options.MaxTokens - a.usage.Answer, Sampling: a.options.Sampling,
		// All that begins or ends a turn ends the answer; <|python_end|> interrupts it.
		Stop: []int32{t.answerEnd, t.bos, t.userStart, t.userEnd, t.assistantStart, t.pythonEnd},
		Keep: true,
	}
	if !a.options.limited() {
		request.Overflow = a.options.Overflow
	}
	row, err := a.model.engine.Start(a.ctx, request, a.from)
	if err != nil && a.from != nil && !errors.Is(err, generate.ErrBusy) {
		a.leaveState()
		row, err = a.model.engine.Start(a.ctx, request, nil)
	}
	if err == nil {
		a.row = row
	}
	return err
}

// leaveState lets go of the state that the row started from.
func (a *Answer) leaveState() {
	if a.own && a.from != nil {
		a.from.Release()
	}
	a.from, a.own = nil, false
}

// errLeft means that the reader left the loop.
var errLeft = errors.New("the reader left")

// Deltas gives the pieces of the answer as they come, or an error; it may be ranged over once. Leaving the loop early
// cancels the answer.
func (a *Answer) Deltas() iter.Seq2[Delta, error] {
	return func(yield func(Delta, error) bool) {
		defer a.Close()
		emit := func(deltas []Delta) error {
			for _, delta := range deltas {
				if !yield(delta, nil) {
					return errLeft
				}
			}
			return nil
		}
		for !a.closed && a.finish == "" {
			err := a.drain(emit)
			if err == nil && a.finish != "" {
				err = emit(a.close())
			}
			if errors.Is(err, errLeft) {
				return
			}
			if err != nil {
				yield(Delta{}, err)
				return
			}
		}
	}
}

// drain reads the row to its end. Then either finish is set or another row goes on.
func (a *Answer) drain(emit func([]Delta) error) error {
	began := false
	for token, err := range a.row.Tokens() {
		if err != nil {
			if a.from == nil || began || a.ctx.Err() != nil {
				return err
			}
			a.leaveState() // it has become stale, for example by new weights
			a.usage.Reused = 0
			return a.start()
		}
		if !began && a.usage.Answer == 0 {
			a.usage.First = time.Since(a.started)
		}
		began, a.usage.Total = true, time.Since(a.started)
		a.note(token)
		switch {
		case token.Finish == generate.FinishStop && token.ID == a.template.pythonEnd:
			return a.call(emit)
		case token.Finish != "":
			a.finish = token.Finish
			return nil
		}
		a.tokens = append(a.tokens, token.ID)
		a.usage.Answer++
		if err := emit(a.token(token.ID)); err != nil {
			return err
		}
		if a.stopped {
			a.finish = generate.FinishStop
			return nil
		}
	}
	return errors.New("chat: the row ended without saying why")
}

// call runs what the model wrote, forces the output into the conversation, and goes on in a new row.
func (a *Answer) call(emit func([]Delta) error) error {
	t := a.template
	a.usage.Answer++ // <|python_end|>
	a.tokens = append(a.tokens, t.pythonEnd)
	if code, deltas, ok := a.code(); ok {
		part := len(a.content) - 1
		result, err := a.run(code)
		if err != nil {
			deltas = append(deltas, Delta{Part: part, Type: Python, Problem: err.Error()})
		} else {
			a.tokens = append(a.tokens, t.outputStart)
			a.tokens = t.tokenizer.AppendEncode(a.tokens, result)
			a.tokens = append(a.tokens, t.outputEnd)
			deltas = append(deltas, a.output(result)...)
		}
		if err := emit(deltas); err != nil {
			return err
		}
	}
	switch {
	case a.usage.Answer >= a.options.MaxTokens:
		a.finish = generate.FinishLength
		return nil
	case a.options.limited() && len(a.tokens) > a.model.Capacity():
		a.finish = generate.FinishCapacity
		return nil
	}
	state := a.row.State()
	a.leaveState()
	a.from, a.own = state, true
	return a.start()
}

// maxResult is the bytes of a tool's result at most.
const maxResult = 1000

func (a *Answer) run(code string) (string, error) {
	result, err := a.options.Tool(a.ctx, code)
	if err != nil {
		return "", err
	}
	if len(result) > maxResult {
		return "", fmt.Errorf("the result has %d bytes; at most %d are supported", len(result), maxResult)
	}
	return whole(result), nil
}

// Close cancels the answer if it goes on, and waits until its row is free. Closing twice does nothing.
func (a *Answer) Close() {
	if a.closed {
		return
	}
	a.closed = true
	a.cancel()
	a.assembler.close()
	state := a.lastState()
	tokens := a.tokens
	if a.stopped { // they go on behind the stop string
		var r Rendered
		a.template.message(&r, Message{Assistant, a.content})
		tokens = append(tokens[:a.prompt:a.prompt], r.Tokens[1:len(r.Tokens)-1]...)
	}
	if a.options.Keep && a.messages != nil {
		a.thread = &Thread{messages: append(a.messages, Message{Assistant, a.content}), tokens: tokens}
		if usable(state, tokens) {
			a.thread.state = state
			return
		}
	}
	if state != nil {
		state.Release()
	}
}

// lastState is that of the row, or what a row that could not be started would have begun with.
func (a *Answer) lastState() (state State) {
	if a.row != nil {
		state = a.row.State()
		a.leaveState()
	} else if a.own {
		state, a.from = a.from, nil
	}
	return state
}

// Content is the answer so far.
func (a *Answer) Content() Content { return slices.Clone(a.content) }

// Finish is why the answer ended, one of generate's Finish constants; "" if it did not end by itself. A stop string
// counts as generate.FinishStop.
func (a *Answer) Finish() string { return a.finish }

// Usage is the answer's tokens and time so far.
func (a *Answer) Usage() Usage { return a.usage }

// Thread is the conversation with this answer, once that has ended, if Options asked to Keep it. The caller must Release
// it. It may have no state, where the answer was cut short.
func (a *Answer) Thread() *Thread { return a.thread }
