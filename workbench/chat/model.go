package chat

import (
	"context"
	"fmt"
	"slices"
	"time"

	"tandem/workbench/tokenizer"
)

// Model is what answers: an engine, and the template of its tokenizer. It is safe for concurrent use.
type Model struct {
	engine   Engine
	template *Template
}

// NewModel joins an engine and a tokenizer.
func NewModel(engine Engine, tok *tokenizer.Tokenizer) (*Model, error) {
	template, err := NewTemplate(tok)
	if err != nil {
		return nil, err
	}
	return &Model{engine, template}, nil
}

// Template is the model's template.
func (m *Model) Template() *Template { return m.template }

// Capacity is the number of tokens that a conversation can have.
func (m *Model) Capacity() int { return m.engine.Capacity() }

// RowBytes is the size of one conversation's state.
func (m *Model) RowBytes() int64 { return m.engine.RowBytes() }

// Answer begins the assistant's next message. thread may be nil or of another conversation; if it Begins this one, only
// what is new is fed. It stays the caller's and must not be released before the answer's end. Errors of the engine, such
// as generate.ErrBusy, and ErrTooLong can be told apart with errors.Is.
func (m *Model) Answer(ctx context.Context, c Conversation, thread *Thread, o Options) (*Answer, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if err := m.template.askable(c); err != nil {
		return nil, err
	}
	tokens, state, err := m.fit(c, thread, o)
	if err != nil {
		return nil, err
	}
	return m.begin(ctx, tokens, state, slices.Clone(c.Messages), o)
}

// Complete begins to continue a text, which may be empty, outside of any conversation.
func (m *Model) Complete(ctx context.Context, prompt string, o Options) (*Answer, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if at := invalidUTF8(prompt); at >= 0 {
		return nil, fmt.Errorf("the prompt is not valid UTF-8 at byte %d", at)
	}
	tokens := m.template.tokenizer.AppendEncode([]int32{m.template.bos}, prompt)
	if o.limited() && len(tokens) > m.Capacity() {
		return nil, fmt.Errorf("%w: the prompt has %d tokens and the context is %d; shorten it", ErrTooLong, len(tokens), m.Capacity())
	}
	return m.begin(ctx, tokens, nil, nil, o)
}

// begin starts an answer's first row. If the engine refuses the state to start from, all is fed.
func (m *Model) begin(ctx context.Context, tokens []int32, state State, messages []Message, o Options) (*Answer, error) {
	if o.MaxTokens == 0 {
		o.MaxTokens = m.Capacity()
	}
	if o.Tool == nil {
		o.Tool = Calculator
	}
	ctx, cancel := context.WithCancel(ctx)
	a := &Answer{
		assembler: newAssembler(m.template, o.Stop), model: m, ctx: ctx, cancel: cancel, options: o, messages: messages,
		prompt: len(tokens), tokens: tokens, from: state, started: time.Now(), usage: Usage{Prompt: len(tokens)},
	}
	if err := a.start(); err != nil {
		cancel()
		return nil, err
	}
	if a.from != nil {
		a.usage.Reused = len(a.from.Tokens())
	}
	return a, nil
}
