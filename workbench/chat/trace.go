package chat

import (
	"context"
	"slices"

	"tandem/workbench/generate"
)

// Trace is an answer as its tokens were made, for training on it.
type Trace struct {
	// Tokens are the prompt's and the answer's, with the one that ended it where one did.
	Tokens []int32
	// Drawn marks those that the model drew: neither the prompt nor what a tool put in.
	Drawn []bool
	// LogProbs are the drawn tokens', as generate.Token gives them; 0 for the others.
	LogProbs []float32
}

// drawn is a token that the model drew, where it stands in an answer's tokens, and the type of part that it was drawn in.
type drawn struct {
	at    int
	token generate.Token
	mode  PartType
}

// note keeps what the trace needs of a token that the row drew.
func (a *Answer) note(token generate.Token) {
	if token.ID >= 0 {
		a.drawn = append(a.drawn, drawn{len(a.tokens), token, a.mode})
	}
}

// Trace is that of an ended answer; after a stop string it is not the answer's text.
func (a *Answer) Trace() Trace {
	t := Trace{Tokens: slices.Clone(a.tokens)}
	if n := len(a.drawn); n > 0 && a.drawn[n-1].at == len(t.Tokens) {
		t.Tokens = append(t.Tokens, a.drawn[n-1].token.ID)
	}
	t.Drawn, t.LogProbs = make([]bool, len(t.Tokens)), make([]float32, len(t.Tokens))
	for _, d := range a.drawn {
		t.Drawn[d.at], t.LogProbs[d.at] = true, d.token.LogProb
	}
	return t
}

// Prime feeds the prompt of a conversation's next answer once, so that any number of answers to it can start from the
// Thread. The caller must Release it, after their end.
func (m *Model) Prime(ctx context.Context, c Conversation) (*Thread, error) {
	tokens, err := m.template.Prompt(c)
	if err != nil {
		return nil, err
	}
	tokens = tokens[:len(tokens)-1] // the last one is fed by the first draw
	row, err := m.engine.Start(ctx, generate.Request{Prompt: tokens, MaxTokens: 1, Keep: true}, nil)
	if err != nil {
		return nil, err
	}
	for _, tokenErr := range row.Tokens() {
		if tokenErr != nil {
			err = tokenErr
		}
	}
	thread := &Thread{messages: slices.Clone(c.Messages), tokens: tokens, state: row.State()}
	if err != nil {
		thread.Release()
		return nil, err
	}
	return thread, nil
}
