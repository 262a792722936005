package lab

import (
	"context"
	"fmt"
	"iter"
	"strconv"

	"tandem/workbench/generate"
	"tandem/workbench/session"
)

// lentStates is how many states are kept for callers that keep conversations themselves.
const lentStates = 16

// lent are states kept for callers, under a name each. A caller may vanish without giving them back, so that only those
// lent last are kept. local.mu guards it.
type lent struct {
	count  int
	names  []string // the one lent longest ago first
	states map[string]*generate.Snapshot
}

// Generate implements session.Workbench.
func (l *local) Generate(ctx context.Context, r session.GenerateRequest) iter.Seq2[session.Token, error] {
	return func(yield func(session.Token, error) bool) {
		ctx, done, err := l.begin(ctx)
		if err != nil {
			yield(session.Token{}, err)
			return
		}
		defer done()
		found, loadSeconds, err := l.acquire(r.ModelRequest)
		if err != nil {
			yield(session.Token{}, err)
			return
		}
		defer l.release(found)
		l.count(found.saved(loadSeconds))
		left, err := l.continued(ctx, found, r, func(token session.Token) bool { return yield(token, nil) })
		if err != nil && !left {
			yield(session.Token{}, explained(ctx, err))
		}
	}
}

// continued passes on the tokens of one row; left says that the caller wants no more.
func (l *local) continued(ctx context.Context, found *loadedRun, r session.GenerateRequest, yield func(session.Token) bool) (left bool, err error) {
	request := generate.Request{
		Prompt: r.Prompt, MaxTokens: r.Tokens, Stop: r.Stop, Sampling: sampling(r.Sampling), Overflow: generate.Overflow(r.Overflow), Keep: r.Keep,
	}
	if r.From != "" {
		if request.From = l.borrowed(r.From); request.From == nil {
			return false, fmt.Errorf("generate: the session keeps no state %q any more; start without it", r.From)
		}
	}
	stream, err := found.engine.Submit(ctx, request)
	if err != nil {
		return false, err
	}
	var end session.Token
	for token, tokenErr := range stream.Tokens() {
		if tokenErr != nil {
			err = tokenErr
			break
		}
		passed := session.Token{ID: token.ID, LogProb: token.LogProb, Finish: token.Finish}
		if token.Finish != "" {
			end = passed
		} else if left = !yield(passed); left {
			break
		}
	}
	kept := stream.Snapshot() // waits for the row's end
	if left || err != nil {
		if kept != nil {
			kept.Release()
		}
		return left, err
	}
	if kept != nil {
		end.State = &session.State{ID: l.lend(kept), Tokens: kept.Tokens(), Bytes: kept.Bytes()}
	}
	return !yield(end), nil
}

// lend keeps a state and names it. Of too many, the one lent longest ago goes.
func (l *local) lend(state *generate.Snapshot) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lent.count++
	name := strconv.Itoa(l.lent.count)
	l.lent.states[name] = state
	l.lent.names = append(l.lent.names, name)
	for len(l.lent.states) > lentStates {
		l.returned(l.lent.names[0])
	}
	return name
}

func (l *local) borrowed(name string) *generate.Snapshot {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lent.states[name]
}

// returned frees a lent state. l.mu must be held.
func (l *local) returned(name string) {
	for i, other := range l.lent.names {
		if other == name {
			l.lent.names = append(l.lent.names[:i], l.lent.names[i+1:]...)
			l.lent.states[name].Release()
			delete(l.lent.states, name)
			return
		}
	}
}

// Release implements session.Workbench.
func (l *local) Release(_ context.Context, state string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.returned(state)
	return nil
}
