package chat_test

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"tandem/workbench/chat"
	"tandem/workbench/generate"
	"tandem/workbench/tokenizer"
)

// bytesOnly is a tokenizer without merges: ids 0 to 255 are bytes, then come the nine special tokens.
var bytesOnly = sync.OnceValue(func() *tokenizer.Tokenizer {
	tok, err := tokenizer.Train(func(func(string, error) bool) {}, 256+9)
	if err != nil {
		panic(err)
	}
	return tok
})

// special gives ids by the names' insides: "user_start".
func special(name string) int32 {
	id, ok := bytesOnly().Special("<|" + name + "|>")
	if !ok {
		panic(name)
	}
	return id
}

// script is ids from texts and ids.
func script(parts ...any) (ids []int32) {
	for _, part := range parts {
		switch part := part.(type) {
		case string:
			ids = append(ids, bytesOnly().Encode(part)...)
		case int32:
			ids = append(ids, part)
		case byte:
			ids = append(ids, int32(part))
		}
	}
	return ids
}

// fakeEngine draws what a function says, and counts what it is fed and what it holds.
type fakeEngine struct {
	capacity int
	// next is the token after a history.
	next func(history []int32) int32
	// fed are the tokens fed in all, live the states not released.
	fed, live int
	// refuse and stale make a start from a state fail: at once, or in the row as generate does after SetWeights.
	refuse, stale bool
	// busy makes every start but the first fail.
	busy   bool
	starts int
}

func (e *fakeEngine) Capacity() int   { return e.capacity }
func (e *fakeEngine) RowBytes() int64 { return 100 }

func (e *fakeEngine) Start(ctx context.Context, request generate.Request, from chat.State) (chat.Row, error) {
	if request.Overflow == generate.OverflowError && len(request.Prompt) > e.capacity {
		return nil, errors.New("the prompt is too long")
	}
	if e.busy && e.starts > 0 {
		return nil, generate.ErrBusy
	}
	row := &fakeRow{engine: e, ctx: ctx, request: request, history: slices.Clone(request.Prompt)}
	if from != nil {
		state := from.(*fakeState)
		switch {
		case state.released || len(state.tokens) >= len(request.Prompt) || !slices.Equal(state.tokens, request.Prompt[:len(state.tokens)]):
			return nil, errors.New("the state does not fit")
		case e.refuse:
			return nil, errors.New("refused")
		case e.stale:
			row.err = errors.New("other weights")
			return row, nil
		}
		row.fed = len(state.tokens)
	}
	e.starts++
	return row, nil
}

type fakeRow struct {
	engine  *fakeEngine
	ctx     context.Context
	request generate.Request
	history []int32
	fed     int
	err     error
}

// feed feeds all but the newest tokens.
func (r *fakeRow) feed(keep int) {
	r.engine.fed += max(0, len(r.history)-keep-r.fed)
	r.fed = max(r.fed, len(r.history)-keep)
}

func (r *fakeRow) Tokens() iter.Seq2[generate.Token, error] {
	return func(yield func(generate.Token, error) bool) {
		if r.err != nil {
			yield(generate.Token{}, r.err)
			return
		}
		for made := 0; ; made++ {
			if r.ctx.Err() != nil {
				yield(generate.Token{}, r.ctx.Err())
				return
			}
			switch {
			case made == r.request.MaxTokens:
				yield(generate.Token{ID: -1, Finish: generate.FinishLength}, nil)
				return
			case r.request.Overflow == generate.OverflowError && len(r.history) > r.engine.capacity:
				yield(generate.Token{ID: -1, Finish: generate.FinishCapacity}, nil)
				return
			}
			r.feed(0)
			id := r.engine.next(r.history)
			if slices.Contains(r.request.Stop, id) {
				yield(generate.Token{ID: id, LogProb: -float32(id), Finish: generate.FinishStop}, nil)
				return
			}
			r.history = append(r.history, id)
			if !yield(generate.Token{ID: id, LogProb: -float32(id)}, nil) {
				return
			}
		}
	}
}

func (r *fakeRow) State() chat.State {
	if r.err != nil || r.fed == 0 {
		return nil
	}
	r.engine.live++
	return &fakeState{engine: r.engine, tokens: slices.Clone(r.history[:r.fed])}
}

type fakeState struct {
	engine   *fakeEngine
	tokens   []int32
	released bool
}

func (s *fakeState) Tokens() []int32 { return s.tokens }
func (s *fakeState) Bytes() int64    { return 100 }
func (s *fakeState) Release() {
	if !s.released {
		s.engine.live--
	}
	s.released = true
}

// scripted draws a script after the newest <|assistant_start|>, past what was forced, and then ends the answer.
func scripted(answers ...[]int32) func(history []int32) int32 {
	return func(history []int32) int32 {
		turn, at := -1, 0
		for i, id := range history {
			if id == special("assistant_start") {
				turn, at = turn+1, i+1
			}
		}
		if done := len(history) - at; turn >= 0 && turn < len(answers) && done < len(answers[turn]) {
			return answers[turn][done]
		}
		return special("assistant_end")
	}
}

// newModel is a model over a fake engine; at the test's end it holds no state.
func newModel(t testing.TB, engine *fakeEngine) *chat.Model {
	t.Helper()
	if engine.capacity == 0 {
		engine.capacity = 1000
	}
	model, err := chat.NewModel(engine, bytesOnly())
	require.NoError(t, err)
	t.Cleanup(func() { require.Zero(t, engine.live, "states that nobody released") })
	return model
}

// said collects the text of all parts, each in brackets with its type if it is no text.
func said(t testing.TB, deltas iter.Seq2[chat.Delta, error]) (all chat.Content) {
	t.Helper()
	for delta, err := range deltas {
		require.NoError(t, err)
		if delta.Part == len(all) {
			all = append(all, chat.Part{Type: delta.Type})
		}
		require.Equal(t, len(all)-1, delta.Part, "only the last part may grow")
		all[delta.Part].Text += delta.Text
	}
	return all
}
