package generate

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"

	"github.com/gomlx/gomlx/core/tensors"

	"tandem/models"
	"tandem/xla"
)

// Errors that callers branch on.
var (
	// ErrBusy means that the queue is full; try again later.
	ErrBusy = errors.New("too many requests are waiting")
	// ErrClosed means that the engine was closed.
	ErrClosed = errors.New("the engine is closed")
)

// Engine continues token sequences with one model. Requests join and leave a running batch, which a goroutine of the
// engine decodes. What else is in the batch changes a row by no more than the rounding of its sums, whose order may depend
// on the number of rows. All methods may be called concurrently.
type Engine struct {
	device  *xla.Device
	model   *models.Model
	options Options

	// turn is held while the device works for the engine; it guards the fields up to the next blank line.
	turn     sync.Mutex
	weights  []*tensors.Tensor // as programs take them
	own      []*tensors.Tensor // those of weights that are the engine's
	version  int               // of the weights; a snapshot of another version is stale
	programs map[string]*xla.Program
	batch    batch
	filling  []*row // rows whose tokens are being fed
	flights  []flight

	liveRows    atomic.Int64 // rows of all states on the device
	compileTime atomic.Int64 // nanoseconds

	// mu guards what callers and the loop share.
	mu        sync.Mutex
	queue     []*row
	snapshots map[*Snapshot]bool // not released
	closed    bool
	wake      chan struct{} // holds a sign when the above changed
	done      chan struct{} // closed when the loop has ended
}

// New makes an engine over weights in the order of model.Weights(). They stay the caller's: the engine neither changes
// nor frees them, and they must not be donated or freed before Close or SetWeights. Where the device computes in another
// dtype than float32 the engine keeps a converted copy of the matrices.
func New(device *xla.Device, model *models.Model, weights []*tensors.Tensor, options Options) (*Engine, error) {
	options, err := options.resolved(device.Kind, model.Config.Context)
	if err != nil {
		return nil, err
	}
	e := &Engine{
		device: device, model: model, options: options, programs: map[string]*xla.Program{}, snapshots: map[*Snapshot]bool{},
		wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
	if err := e.setWeights(weights); err != nil {
		return nil, err
	}
	go e.run()
	return e, nil
}

// Options are the resolved options.
func (e *Engine) Options() Options { return e.options }

// SetWeights replaces the weights, as New takes them, and keeps the compiled programs: a training may sample often. It
// refuses while requests are running. Snapshots taken before cannot be continued.
func (e *Engine) SetWeights(weights []*tensors.Tensor) error {
	e.turn.Lock()
	defer e.turn.Unlock()
	e.mu.Lock()
	busy, closed := len(e.queue)+len(e.filling)+e.batch.live(), e.closed
	e.mu.Unlock()
	if closed {
		return fmt.Errorf("set weights: %w", ErrClosed)
	}
	if busy > 0 {
		return fmt.Errorf("set weights: %d requests are running on the old ones; wait for them or cancel them", busy)
	}
	return e.setWeights(weights)
}

func (e *Engine) setWeights(weights []*tensors.Tensor) error {
	declared := e.model.Weights()
	if len(weights) != len(declared) {
		return fmt.Errorf("generate: got %d weights, the model has %d; pass them in the order of model.Weights()", len(weights), len(declared))
	}
	for i, weight := range declared {
		if got, want := fmt.Sprint(weights[i].Shape().Dimensions), fmt.Sprint(weight.Shape); got != want || weights[i].DType() != weight.DType {
			return fmt.Errorf("generate: weight %q has shape %s, the model declares %s %s", weight.Name, weights[i].Shape(), weight.DType, want)
		}
	}
	free(e.own)
	e.weights, e.own = nil, nil
	all, own, err := e.prepared(weights)
	if err != nil {
		return err
	}
	e.weights, e.own = all, own
	e.version++
	return nil
}

// Close ends all requests with ErrClosed, frees snapshots' states, programs and the engine's copy of weights, and waits
// until that is done.
func (e *Engine) Close() {
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	e.signal()
	<-e.done
}

// GenerateOptions say when to stop and how to sample, for all prompts of a Generate.
type GenerateOptions struct {
	// MaxTokens is the tokens to add to each row at most; 0 goes on to a stop token or the capacity.
	MaxTokens int
	// Stop ends a row at any of these tokens, 16 at most.
	Stop []int32
	// Sampling is the choice of each token; row i draws with Seed + i.
	Sampling Sampling
	// Overflow is what happens when a row is full.
	Overflow Overflow
}

// Generate continues prompts together, and gives each row's tokens and its end as they come; Token.Row is the index of the
// prompt. An error ends the iteration and all rows. Leaving the loop cancels what is left.
func (e *Engine) Generate(ctx context.Context, prompts [][]int32, o GenerateOptions) iter.Seq2[Token, error] {
	return func(yield func(Token, error) bool) {
		requests := make([]Request, len(prompts))
		for i, prompt := range prompts {
			requests[i] = Request{Prompt: prompt, MaxTokens: o.MaxTokens, Stop: o.Stop, Sampling: o.Sampling, Overflow: o.Overflow}
			requests[i].Sampling.Seed += uint64(i)
		}
		rows, err := e.submit(ctx, requests)
		if err != nil {
			yield(Token{}, err)
			return
		}
		if len(rows) > 0 {
			rows[0].inbox.deliver(yield)
		}
	}
}
