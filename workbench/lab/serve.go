package lab

import (
	"fmt"
	"math"

	"tandem/blocks"
	"tandem/models"
	"tandem/workbench/generate"
	"tandem/xla"
)

// ServeOptions say for how many clients at a time a model is opened.
type ServeOptions struct {
	// Rows is how many requests are decoded together; 0 is the engine's choice.
	Rows int
	// Queue is how many may wait for a row.
	Queue int
}

// Service is a model opened for many clients, and what they may want to know of it.
type Service struct {
	*Chat
	// Requests is how many may run or wait at a time. Who serves must hold more back: the engine's own queue has no
	// limit, so that an answer which used a tool can always go on.
	Requests int
	// CacheBytes is room for the states of some conversations between their turns.
	CacheBytes int64
	// Kinds are the block kinds of the pattern, in registry order.
	Kinds []blocks.Kind
	// Context is the tokens that a conversation can have.
	Context int
	// StateFixedBytes and StateTokenBytes make up a conversation's state: so much at any length, and so much a token.
	StateFixedBytes, StateTokenBytes int64
}

// keptConversations is how many states are kept between turns, if no fewer rows are decoded at a time.
const keptConversations = 8

// OpenService loads a run's newest valid checkpoint for many clients. say is told of checkpoints that were skipped.
// Close it.
func OpenService(run *Run, backend string, o ServeOptions, say func(string)) (*Service, error) {
	if o.Rows < 0 || o.Queue < 0 {
		return nil, fmt.Errorf("serve %s: rows %d, queue %d: neither may be negative", run.Name, o.Rows, o.Queue)
	}
	opened, err := OpenChat(run, backend, generate.Options{Rows: o.Rows, Queue: math.MaxInt32}, say)
	if err != nil {
		return nil, err
	}
	model, err := run.Model()
	if err != nil {
		opened.Close()
		return nil, err
	}
	return NewService(opened, model, o.Queue), nil
}

// sizes are how many rows the engine decodes together, how large the state of each is, and what a token adds to that.
func (c *Chat) sizes(model *models.Model) (rows int, rowBytes, perToken int64) {
	if c.workbench != nil {
		return c.loaded.Rows, c.loaded.RowBytes, c.loaded.TokenBytes
	}
	return c.Engine.Options().Rows, c.Engine.RowBytes(), tokenBytes(model, c.Device)
}

// tokenBytes is what a token adds to the state of a row.
func tokenBytes(model *models.Model, device *xla.Device) int64 {
	state := func(tokens int) int64 { return blocks.StateBytes(model.State(1, tokens, device.Compute)) }
	return state(2) - state(1)
}

// NewService describes a chat over model for many clients, of which so many may wait for a row. The chat's engine must
// have a queue without limit. Closing the service closes the chat.
func NewService(opened *Chat, model *models.Model, queue int) *Service {
	rows, rowBytes, perToken := opened.sizes(model)
	s := &Service{
		Chat: opened, Requests: rows + queue, CacheBytes: int64(min(rows, keptConversations)) * rowBytes,
		Context: opened.Model.Capacity(), StateTokenBytes: perToken,
	}
	used := map[byte]bool{}
	for _, kind := range model.Config.Pattern.Kinds() {
		used[kind.Letter] = true
	}
	for _, kind := range blocks.Kinds {
		if used[kind.Letter] {
			s.Kinds = append(s.Kinds, kind)
		}
	}
	s.StateFixedBytes = rowBytes - int64(s.Context)*perToken
	return s
}
