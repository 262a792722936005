package chat

import (
	"fmt"
	"strings"

	"tandem/workbench/tokenizer"
)

// Template turns conversations into tokens. It is safe for concurrent use.
//
// The layout, one special token at each border, is nanochat's:
//
//	<|bos|>
//	<|user_start|> text <|user_end|>
//	<|assistant_start|> text <|python_start|> code <|python_end|> <|output_start|> result <|output_end|> text <|assistant_end|>
//
// A system message is put before the first user's, with an empty line between. Text is encoded as text only: a special
// token's name in it is just characters.
type Template struct {
	tokenizer *tokenizer.Tokenizer

	bos                       int32
	userStart, userEnd        int32
	assistantStart, answerEnd int32
	pythonStart, pythonEnd    int32
	outputStart, outputEnd    int32
}

// NewTemplate makes the template of a tokenizer, which must have the nine special tokens.
func NewTemplate(tok *tokenizer.Tokenizer) (*Template, error) {
	t := &Template{tokenizer: tok}
	for _, special := range []struct {
		name string
		id   *int32
	}{
		{"<|bos|>", &t.bos},
		{"<|user_start|>", &t.userStart}, {"<|user_end|>", &t.userEnd},
		{"<|assistant_start|>", &t.assistantStart}, {"<|assistant_end|>", &t.answerEnd},
		{"<|python_start|>", &t.pythonStart}, {"<|python_end|>", &t.pythonEnd},
		{"<|output_start|>", &t.outputStart}, {"<|output_end|>", &t.outputEnd},
	} {
		id, ok := tok.Special(special.name)
		if !ok {
			return nil, fmt.Errorf("chat template: the tokenizer has no %s, only %s; train one with: workbench tokenizer train", special.name, strings.Join(tok.Specials(), " "))
		}
		*special.id = id
	}
	return t, nil
}

// Tokenizer is the template's tokenizer.
func (t *Template) Tokenizer() *tokenizer.Tokenizer { return t.tokenizer }

// Rendered is a conversation as tokens.
type Rendered struct {
	// Tokens are the ids.
	Tokens []int32
	// Mask says for each token whether a model is trained to predict it: the assistant's text, the code between
	// <|python_start|> and <|python_end|> with both of them, and <|assistant_end|>. It is as long as Tokens.
	Mask []bool
}

func (r *Rendered) add(learn bool, ids ...int32) {
	r.Tokens = append(r.Tokens, ids...)
	for range ids {
		r.Mask = append(r.Mask, learn)
	}
}

// Render gives the tokens of a whole conversation, for training.
func (t *Template) Render(c Conversation) (Rendered, error) {
	if err := c.Validate(); err != nil {
		return Rendered{}, fmt.Errorf("render conversation: %w", err)
	}
	var r Rendered
	r.add(false, t.bos)
	for _, message := range merged(c.Messages) {
		t.message(&r, message)
	}
	return r, nil
}

// Prompt gives the tokens that the assistant's next message follows: those of the conversation, whose last message must
// be the user's, and <|assistant_start|>.
func (t *Template) Prompt(c Conversation) ([]int32, error) {
	if err := t.askable(c); err != nil {
		return nil, err
	}
	r, err := t.Render(c)
	if err != nil {
		return nil, err
	}
	return append(r.Tokens, t.assistantStart), nil
}

// askable reports why a conversation has no next answer.
func (t *Template) askable(c Conversation) error {
	if err := c.Validate(); err != nil {
		return fmt.Errorf("render conversation: %w", err)
	}
	if last := c.Messages[len(c.Messages)-1].Role; last != User {
		return fmt.Errorf("render conversation: the last message is of the %s; it must be the user's to be answered", last)
	}
	return nil
}

// merged puts the system message into the first of the user.
func merged(messages []Message) []Message {
	if len(messages) == 0 || messages[0].Role != System {
		return messages
	}
	if len(messages) == 1 {
		return nil
	}
	first := Message{User, TextContent(messages[0].Content.Text() + "\n\n" + messages[1].Content.Text())}
	return append([]Message{first}, messages[2:]...)
}

// message appends one message of the user or the assistant.
func (t *Template) message(r *Rendered, m Message) {
	if m.Role == User {
		r.add(false, t.userStart)
		r.add(false, t.tokenizer.Encode(m.Content.Text())...)
		r.add(false, t.userEnd)
		return
	}
	r.add(false, t.assistantStart)
	for _, part := range m.Content {
		ids := t.tokenizer.Encode(part.Text)
		switch part.Type {
		case Text:
			r.add(true, ids...)
		case Python:
			r.add(true, t.pythonStart)
			r.add(true, ids...)
			r.add(true, t.pythonEnd)
		case Output:
			r.add(false, t.outputStart)
			r.add(false, ids...)
			r.add(false, t.outputEnd)
		}
	}
	r.add(true, t.answerEnd)
}
