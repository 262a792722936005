package generate

import (
	"context"
	"iter"
	"sync"
)

// Why a row ended.
const (
	FinishStop     = "stop"     // it drew a stop token
	FinishLength   = "length"   // it has MaxTokens new tokens
	FinishCapacity = "capacity" // its state is full
)

// Token is one event of a row: a new token, or with Finish set the row's end. Every row that meets no error ends with
// exactly one such event.
type Token struct {
	// Row is the index of the prompt in Generate; 0 in a Stream.
	Row int
	// ID is the token. At the row's end it is the stop token met, which is no part of the text, or -1.
	ID int32
	// LogProb is the natural logarithm of the token's probability under the model itself, before any sampling option; 0
	// for the ID -1.
	LogProb float32
	// Finish is "" while the row goes on, else one of the Finish constants.
	Finish string
}

// inbox passes events from the loop to one reader. It never blocks the loop: a slow reader must not hold up the batch.
type inbox struct {
	caller context.Context // of Submit or Generate
	cancel context.CancelFunc

	mu     sync.Mutex
	events []Token
	open   int // rows that have not ended
	err    error
	news   chan struct{} // holds a sign when any of the above changed
}

// newInbox also derives the context of the rows, which ends when they have.
func newInbox(caller context.Context, rows int) (*inbox, context.Context) {
	ctx, cancel := context.WithCancel(caller)
	return &inbox{caller: caller, cancel: cancel, open: rows, news: make(chan struct{}, 1)}, ctx
}

// send passes on all that a trip brought for a row: a reader that is woken for each token would slow the loop down.
func (b *inbox) send(tokens []Token) {
	b.mu.Lock()
	b.events = append(b.events, tokens...)
	b.mu.Unlock()
	b.sign()
}

// end counts a row out; err is nil if it ended well.
func (b *inbox) end(err error) {
	b.mu.Lock()
	b.open--
	if b.err == nil {
		b.err = err
	}
	if b.open == 0 {
		b.cancel()
	}
	b.mu.Unlock()
	b.sign()
}

func (b *inbox) sign() {
	select {
	case b.news <- struct{}{}:
	default:
	}
}

// deliver passes events to yield until all rows have ended, one has failed, or yield says stop; then it cancels what is
// left. It does not wait for the loop when the caller's context ends.
func (b *inbox) deliver(yield func(Token, error) bool) {
	defer b.cancel()
	for {
		gone := b.caller.Err()
		b.mu.Lock()
		events, open, err := b.events, b.open, b.err
		b.events = nil
		b.mu.Unlock()
		for _, token := range events {
			if !yield(token, nil) {
				return
			}
		}
		if err == nil && open > 0 {
			err = gone
		}
		if err != nil {
			yield(Token{}, err)
			return
		}
		if open == 0 {
			return
		}
		select {
		case <-b.news:
		case <-b.caller.Done():
		}
	}
}

// Stream is a submitted request.
type Stream struct {
	inbox *inbox
	row   *row
}

// Tokens gives the row's tokens and its end as they come, or an error; it may be ranged over once. Leaving the loop
// early cancels the request.
func (s *Stream) Tokens() iter.Seq2[Token, error] {
	return s.inbox.deliver
}

// Cancel ends the request; its row is free for another when the trips that were launched have ended.
func (s *Stream) Cancel() { s.inbox.cancel() }

// Snapshot waits for the request to end, cancelled ones included, and gives the state of its row, which the caller must
// Release; nil if the request did not ask to Keep it or failed.
func (s *Stream) Snapshot() *Snapshot {
	<-s.row.ended
	return s.row.kept
}
