package lab

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"time"

	"tandem/workbench/chat"
	"tandem/workbench/generate"
	"tandem/workbench/session"
)

// OpenChatIn makes a run's newest checkpoint ready to answer in a workbench, such as Attach gives. Close closes w too.
func OpenChatIn(ctx context.Context, w session.Workbench, run *Run, backend string) (*Chat, error) {
	tok, err := run.Tokenizer()
	if err != nil {
		return nil, err
	}
	model, err := run.Model()
	if err != nil {
		return nil, err
	}
	request := session.ModelRequest{Run: absolute(run.Folder), Backend: backend}
	loaded, err := w.Load(ctx, request)
	if err != nil {
		return nil, fmt.Errorf("chat with %s: %w", run.Name, err)
	}
	status, err := w.Status(ctx)
	if err != nil {
		return nil, fmt.Errorf("chat with %s: %w", run.Name, err)
	}
	c := &Chat{Run: run, Tokenizer: tok, Overflow: overflowOf(model), workbench: w, loaded: loaded, where: status.Device}
	if c.Model, err = chat.NewModel(&engineIn{w, request, loaded}, tok); err != nil {
		return nil, err
	}
	return c, nil
}

// engineIn is an engine in a workbench, which may be another process.
type engineIn struct {
	workbench session.Workbench
	model     session.ModelRequest
	loaded    session.Model
}

// Start implements chat.Engine. The request goes out when its tokens are asked for.
func (e *engineIn) Start(ctx context.Context, request generate.Request, from chat.State) (chat.Row, error) {
	r := session.GenerateRequest{
		ModelRequest: e.model, Prompt: slices.Clone(request.Prompt), Tokens: request.MaxTokens, Stop: request.Stop, Overflow: string(request.Overflow),
		Sampling: sampledAs(request.Sampling), Keep: request.Keep,
	}
	if state, ok := from.(*stateIn); ok && state != nil {
		r.From = state.ID
	}
	return &rowIn{engine: e, ctx: ctx, request: r}, nil
}

// Capacity implements chat.Engine.
func (e *engineIn) Capacity() int { return e.loaded.Context }

// RowBytes implements chat.Engine.
func (e *engineIn) RowBytes() int64 { return e.loaded.RowBytes }

// rowIn is a request to an engineIn. It is for one goroutine.
type rowIn struct {
	engine  *engineIn
	ctx     context.Context
	request session.GenerateRequest
	state   *stateIn
}

// Tokens implements chat.Row.
func (r *rowIn) Tokens() iter.Seq2[generate.Token, error] {
	return func(yield func(generate.Token, error) bool) {
		for token, err := range r.engine.workbench.Generate(r.ctx, r.request) {
			if token.State != nil {
				r.state = &stateIn{*token.State, r.engine.workbench}
			}
			if !yield(generate.Token{ID: token.ID, LogProb: token.LogProb, Finish: token.Finish}, err) {
				return
			}
		}
	}
}

// State implements chat.Row. A row that was cut short has none: nobody is there to be given it.
func (r *rowIn) State() chat.State {
	if r.state == nil {
		return nil
	}
	return r.state
}

// stateIn is a state that a workbench keeps.
type stateIn struct {
	session.State
	workbench session.Workbench
}

// Tokens implements chat.State.
func (s *stateIn) Tokens() []int32 { return s.State.Tokens }

// Bytes implements chat.State.
func (s *stateIn) Bytes() int64 { return s.State.Bytes }

// releaseTime is how long a caller waits for a state to be freed; one that is not freed goes when others come.
const releaseTime = time.Second

// Release implements chat.State.
func (s *stateIn) Release() {
	if s.State.Bytes == 0 {
		return
	}
	s.State.Bytes = 0
	ctx, done := context.WithTimeout(context.Background(), releaseTime)
	defer done()
	s.workbench.Release(ctx, s.ID)
}

// sampledAs is the request's of the engine's sampling.
func sampledAs(s generate.Sampling) session.Sampling {
	return session.Sampling{
		Temperature: s.Temperature, TopK: s.TopK, TopP: s.TopP, MinP: s.MinP, RepetitionPenalty: s.RepetitionPenalty, Seed: s.Seed,
	}
}

// OpenServiceIn is OpenService in a workbench, such as Attach gives: its clients share the loaded run with cells and
// terminals. Close closes w too.
func OpenServiceIn(ctx context.Context, w session.Workbench, run *Run, backend string, queue int) (*Service, error) {
	opened, err := OpenChatIn(ctx, w, run, backend)
	if err != nil {
		return nil, err
	}
	model, err := run.Model()
	if err != nil {
		return nil, err
	}
	return NewService(opened, model, queue), nil
}
