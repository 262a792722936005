package chat

import "slices"

// Thread is an answered conversation with the model's state after it, so that the next turn feeds only what is new.
type Thread struct {
	messages []Message // as they were given, and the answer
	tokens   []int32   // as they were fed and drawn, without the token that ended the answer
	state    State     // of tokens or the first of them; nil is none
}

// Bytes is the size of the state.
func (t *Thread) Bytes() int64 {
	if t == nil || t.state == nil {
		return 0
	}
	return t.state.Bytes()
}

// Tokens is the number of tokens of the conversation, as the model has seen it.
func (t *Thread) Tokens() int {
	if t == nil {
		return 0
	}
	return len(t.tokens)
}

// Release frees the state.
func (t *Thread) Release() {
	if t != nil && t.state != nil {
		t.state.Release()
		t.state = nil
	}
}

// Begins says whether a conversation goes on from here.
func (t *Thread) Begins(c Conversation) bool {
	return t != nil && len(t.messages) < len(c.Messages) && slices.EqualFunc(t.messages, c.Messages[:len(t.messages)], sameMessage)
}

func sameMessage(a, b Message) bool {
	return a.Role == b.Role && slices.Equal(a.Content, b.Content)
}

// usable says whether a row that holds tokens can start from a state.
func usable(state State, tokens []int32) bool {
	if state == nil {
		return false
	}
	fed := state.Tokens()
	return len(fed) <= len(tokens) && slices.Equal(fed, tokens[:len(fed)])
}
