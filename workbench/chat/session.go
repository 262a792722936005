package chat

import (
	"context"
	"fmt"
	"iter"
	"slices"
)

// Session is one conversation with a model. It keeps the model's state between turns, so that each feeds only what is
// new. It is for one goroutine.
type Session struct {
	model        *Model
	conversation Conversation
	thread       *Thread
	usage        Usage
	finish       string
}

// NewSession begins a conversation. system may be empty.
func NewSession(model *Model, system string) *Session {
	return &Session{model: model, conversation: NewConversation(system)}
}

// Ask adds a message of the user and gives the pieces of the answer as they come. If the answer is cancelled, by ctx or
// by leaving the loop, what was said of it stays; if nothing was, or the question was refused, the conversation is as
// before.
func (s *Session) Ask(ctx context.Context, text string, o Options) iter.Seq2[Delta, error] {
	return func(yield func(Delta, error) bool) {
		o.Keep = true
		conversation := s.conversation.With(User, text)
		answer, err := s.model.Answer(ctx, conversation, s.thread, o)
		if err != nil {
			yield(Delta{}, err)
			return
		}
		defer s.take(answer)
		for delta, err := range answer.Deltas() {
			if !yield(delta, err) {
				return
			}
		}
	}
}

// take makes an ended answer part of the conversation.
func (s *Session) take(answer *Answer) {
	answer.Close()
	s.usage, s.finish = answer.Usage(), answer.Finish()
	thread := answer.Thread()
	if s.finish == "" && len(answer.Content()) == 0 {
		thread.Release()
		return
	}
	s.conversation.Messages = slices.Clone(thread.messages)
	if thread.state == nil && s.thread != nil {
		thread.state, s.thread.state = s.thread.state, nil // what it was before the answer is still a beginning
	}
	s.thread.Release()
	s.thread = thread
}

// Conversation is what was said so far.
func (s *Session) Conversation() Conversation {
	return Conversation{Messages: slices.Clone(s.conversation.Messages)}
}

// SetConversation goes on from another conversation, whose last message must not be the user's; it may be empty. The
// state is kept as far as it fits.
func (s *Session) SetConversation(c Conversation) error {
	if len(c.Messages) > 0 {
		if err := c.Validate(); err != nil {
			return err
		}
		if c.Messages[len(c.Messages)-1].Role == User {
			return fmt.Errorf("the last message is the user's, without an answer; leave it out and ask it")
		}
	}
	s.conversation = Conversation{Messages: slices.Clone(c.Messages)}
	return nil
}

// System is the system message; "" if there is none.
func (s *Session) System() string {
	if m := s.conversation.Messages; len(m) > 0 && m[0].Role == System {
		return m[0].Content.Text()
	}
	return ""
}

// SetSystem replaces the system message; "" removes it. The next turn feeds the whole conversation again.
func (s *Session) SetSystem(text string) error {
	if at := invalidUTF8(text); at >= 0 {
		return fmt.Errorf("the system message is not valid UTF-8 at byte %d", at)
	}
	rest := s.conversation.Messages
	if s.System() != "" {
		rest = rest[1:]
	}
	s.conversation.Messages = append(NewConversation(text).Messages, rest...)
	return nil
}

// Clear forgets all but the system message, and frees the state.
func (s *Session) Clear() {
	s.conversation = NewConversation(s.System())
	s.Close()
}

// Close frees the state. The session can still be used.
func (s *Session) Close() {
	s.thread.Release()
	s.thread = nil
}

// Stats describe a session.
type Stats struct {
	// Messages of the conversation, the system message included.
	Messages int
	// Tokens of the conversation, as the model has seen it where it has, and how many it can have.
	Tokens, Capacity int
	// StateBytes is the state kept between turns, RowBytes what a row takes while it is decoded.
	StateBytes, RowBytes int64
	// Last is the last answer's usage, and Finish why it ended; "" if it was cut short.
	Last   Usage
	Finish string
}

// Stats describe the session now.
func (s *Session) Stats() Stats {
	return Stats{
		Messages: len(s.conversation.Messages), Tokens: s.tokens(), Capacity: s.model.Capacity(),
		StateBytes: s.thread.Bytes(), RowBytes: s.model.RowBytes(), Last: s.usage, Finish: s.finish,
	}
}

func (s *Session) tokens() int {
	if s.thread != nil && slices.EqualFunc(s.thread.messages, s.conversation.Messages, sameMessage) {
		return len(s.thread.tokens)
	}
	r, err := s.model.template.Render(s.conversation)
	if err != nil { // of no message
		return 0
	}
	return len(r.Tokens)
}
