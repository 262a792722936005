package chat

import (
	"context"
	"iter"

	"tandem/workbench/generate"
)

// Engine continues rows of tokens. Over makes one of a *generate.Engine; tests script their own.
type Engine interface {
	// Start continues a prompt from a state that this engine gave, or from none if that is nil. It may not wait for
	// tokens. The request's From is not used.
	Start(ctx context.Context, request generate.Request, from State) (Row, error)
	// Capacity is the number of tokens that a row can hold.
	Capacity() int
	// RowBytes is the size of one row's state.
	RowBytes() int64
}

// Row is a started request.
type Row interface {
	// Tokens gives the row's tokens and its end, as generate.Stream does.
	Tokens() iter.Seq2[generate.Token, error]
	// State waits for the end, a cancelled request's included, and gives the state if the request asked to Keep it; nil
	// if there is none.
	State() State
}

// State is what an engine knows after some tokens.
type State interface {
	// Tokens are those that the state has been fed.
	Tokens() []int32
	// Bytes is the size of the state.
	Bytes() int64
	// Release frees the state. Releasing twice does nothing.
	Release()
}

// Over is an engine over a *generate.Engine.
func Over(engine *generate.Engine) Engine { return engineOver{engine} }

type engineOver struct{ *generate.Engine }

func (e engineOver) Start(ctx context.Context, request generate.Request, from State) (Row, error) {
	request.From = nil
	if snapshot, ok := from.(*generate.Snapshot); ok {
		request.From = snapshot
	}
	stream, err := e.Submit(ctx, request)
	if err != nil {
		return nil, err
	}
	return rowOver{stream}, nil
}

func (e engineOver) Capacity() int { return e.Options().Capacity }

type rowOver struct{ *generate.Stream }

func (r rowOver) State() State {
	if snapshot := r.Snapshot(); snapshot != nil {
		return snapshot
	}
	return nil
}
