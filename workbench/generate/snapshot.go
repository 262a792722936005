package generate

import (
	"fmt"
	"slices"
	"sync"
)

// Snapshot is the state of one row after some tokens, kept on the device so that a later Request can go on From there
// instead of feeding those tokens again. Any number of requests may start from it. Release frees it; Close does so too.
type Snapshot struct {
	engine  *Engine
	tokens  []int32
	start   int // the first token that the state still knows; those before were dropped
	version int // of the weights

	mu    sync.Mutex
	state *state
}

// Tokens are those that the state has been fed: a request's prompt and reply without the last token drawn.
func (s *Snapshot) Tokens() []int32 { return slices.Clone(s.tokens) }

// Bytes is the size of the state on the device, 0 after Release.
func (s *Snapshot) Bytes() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == nil {
		return 0
	}
	return s.engine.RowBytes()
}

// Release frees the state. Releasing twice does nothing.
func (s *Snapshot) Release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.engine.release(s.state)
	s.state = nil
	s.engine.mu.Lock()
	delete(s.engine.snapshots, s)
	s.engine.mu.Unlock()
}

// check reports why a prompt cannot go on from here.
func (s *Snapshot) check(prompt []int32) error {
	switch {
	case len(prompt) <= len(s.tokens):
		return fmt.Errorf("it holds %d tokens, the prompt has %d; pass the whole conversation, with at least one token more", len(s.tokens), len(prompt))
	case s.Bytes() == 0:
		return fmt.Errorf("it was released")
	}
	for i, id := range s.tokens {
		if prompt[i] != id {
			return fmt.Errorf("token %d is %d in it and %d in the prompt; it can only be continued, not changed", i, id, prompt[i])
		}
	}
	return nil
}

// copy gives the state of a row that starts from here; the loop calls it.
func (s *Snapshot) copy() (*state, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == nil {
		return nil, fmt.Errorf("generate: the snapshot was released before its request began; release it after the first token")
	}
	if s.version != s.engine.version {
		return nil, fmt.Errorf("generate: the snapshot was taken with other weights; start without it")
	}
	return s.engine.pick(s.state, []int{0})
}

// keep makes a snapshot of a row's state, which becomes the snapshot's.
func (e *Engine) keep(r *row, own *state) *Snapshot {
	s := &Snapshot{engine: e, tokens: slices.Clone(r.history[:r.start+r.fed]), start: r.start, version: e.version, state: own}
	e.mu.Lock()
	e.snapshots[s] = true
	e.mu.Unlock()
	return s
}
