package chat

import (
	"fmt"
	"slices"

	"tandem/workbench/generate"
)

// limited says whether a row must fit the capacity as it is.
func (o Options) limited() bool {
	return o.Overflow == generate.OverflowError || o.Overflow == OverflowForget
}

// fit gives the prompt of a conversation and, where the thread has one for it, the state to start from.
func (m *Model) fit(c Conversation, thread *Thread, o Options) ([]int32, State, error) {
	tokens, state, err := m.continued(c, thread)
	if err != nil || !o.limited() {
		return tokens, state, err
	}
	capacity := m.Capacity()
	if o.Overflow == OverflowForget {
		reserve := capacity / 4
		if o.MaxTokens > 0 {
			reserve = min(reserve, o.MaxTokens)
		}
		if len(tokens)+reserve <= capacity {
			return tokens, state, nil
		}
		if tokens, err = m.template.Prompt(m.template.newest(c, capacity/2)); err != nil {
			return nil, nil, err
		}
		state = nil
	}
	if len(tokens) > capacity {
		return nil, nil, fmt.Errorf("%w: it has %d tokens and the context is %d; shorten it or begin a new one", ErrTooLong, len(tokens), capacity)
	}
	return tokens, state, nil
}

// continued renders what the thread does not hold yet.
func (m *Model) continued(c Conversation, thread *Thread) (tokens []int32, state State, err error) {
	t := m.template
	if thread.Begins(c) {
		r := Rendered{Tokens: slices.Clone(thread.tokens)}
		r.add(false, t.answerEnd)
		for _, message := range c.Messages[len(thread.messages):] {
			t.message(&r, message)
		}
		tokens = append(r.Tokens, t.assistantStart)
	} else if tokens, err = t.Prompt(c); err != nil {
		return nil, nil, err
	}
	if thread != nil && usable(thread.state, tokens[:len(tokens)-1]) {
		state = thread.state
	}
	return tokens, state, nil
}

// newest drops the oldest exchanges, so that what remains has no more than limit tokens, the last message apart.
func (t *Template) newest(c Conversation, limit int) Conversation {
	messages, first := c.Messages, 0
	var system []Message
	var r Rendered
	if messages[0].Role == System {
		system, first = messages[:1], 1
		r.add(false, t.tokenizer.Encode(system[0].Content.Text())...)
	}
	at := len(messages) - 1
	t.message(&r, messages[at])
	for at-2 >= first {
		t.message(&r, messages[at-1])
		t.message(&r, messages[at-2])
		if len(r.Tokens) > limit {
			break
		}
		at -= 2
	}
	return Conversation{Messages: append(slices.Clone(system), messages[at:]...)}
}
