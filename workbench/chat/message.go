package chat

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// Role is who speaks.
type Role string

// The roles. A system message may only come first.
const (
	System    Role = "system"
	User      Role = "user"
	Assistant Role = "assistant"
)

// PartType is what a part of a message is.
type PartType string

// The types of part. A user's and a system message have only text.
const (
	Text   PartType = "text"
	Python PartType = "python"        // what the assistant gives a tool to run
	Output PartType = "python_output" // what the tool answered
)

// Part is a piece of a message's content.
type Part struct {
	Type PartType `json:"type"`
	Text string   `json:"text"`
}

// Content is what a message says. In JSON it is a string, or a list of parts if it is more than one text.
type Content []Part

// TextContent is content of one text; of none if the text is empty.
func TextContent(text string) Content {
	if text == "" {
		return nil
	}
	return Content{{Text, text}}
}

// Text joins the texts, without tool calls and their outputs.
func (c Content) Text() string {
	var text strings.Builder
	for _, part := range c {
		if part.Type == Text {
			text.WriteString(part.Text)
		}
	}
	return text.String()
}

// MarshalJSON writes a string where one holds all.
func (c Content) MarshalJSON() ([]byte, error) {
	switch {
	case len(c) == 0:
		return []byte(`""`), nil
	case len(c) == 1 && c[0].Type == Text:
		return json.Marshal(c[0].Text)
	}
	return json.Marshal([]Part(c))
}

// UnmarshalJSON reads a string, null, or a list of parts.
func (c *Content) UnmarshalJSON(encoded []byte) error {
	*c = nil
	switch trimmed := bytes.TrimSpace(encoded); {
	case bytes.Equal(trimmed, []byte("null")):
		return nil
	case len(trimmed) > 0 && trimmed[0] == '"':
		var text string
		if err := json.Unmarshal(trimmed, &text); err != nil {
			return fmt.Errorf("content: %w", err)
		}
		*c = TextContent(text)
		return nil
	case len(trimmed) == 0 || trimmed[0] != '[':
		return errors.New(`content must be a string or a list of parts such as {"type":"text","text":"hello"}`)
	}
	var list []json.RawMessage
	if err := json.Unmarshal(encoded, &list); err != nil {
		return fmt.Errorf("content: %w", err)
	}
	parts := make(Content, len(list))
	for i, part := range list {
		fields := map[string]any{"type": &parts[i].Type, "text": &parts[i].Text}
		if err := decodeFields(part, fields); err != nil {
			return fmt.Errorf("content part %d: %w", i, err)
		}
	}
	*c = parts
	return nil
}

// Message is one turn of a conversation.
type Message struct {
	Role    Role    `json:"role"`
	Content Content `json:"content"`
}

// UnmarshalJSON refuses fields it does not know, unless they are null or an empty list, as clients send back those of
// answers.
func (m *Message) UnmarshalJSON(encoded []byte) error {
	*m = Message{}
	return decodeFields(encoded, map[string]any{"role": &m.Role, "content": &m.Content})
}

// decodeFields reads an object into the fields named.
func decodeFields(encoded []byte, fields map[string]any) error {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(encoded, &object); err != nil {
		return fmt.Errorf("must be an object: %w", err)
	}
	names := slices.Sorted(maps.Keys(fields))
	for _, name := range slices.Sorted(maps.Keys(object)) {
		value := object[name]
		target, known := fields[name]
		if !known {
			if text := string(value); text == "null" || text == "[]" {
				continue
			}
			return fmt.Errorf("unknown field %q; there are %s", name, strings.Join(names, " and "))
		}
		if err := json.Unmarshal(value, target); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// Conversation is messages in order. Its JSON is {"messages": […]}.
type Conversation struct {
	Messages []Message `json:"messages"`
}

// NewConversation is a conversation that begins with a system message, unless that is empty.
func NewConversation(system string) Conversation {
	if system == "" {
		return Conversation{}
	}
	return Conversation{Messages: []Message{{System, TextContent(system)}}}
}

// With is the conversation and one message of text more; the original stays as it is.
func (c Conversation) With(role Role, text string) Conversation {
	return Conversation{Messages: append(slices.Clone(c.Messages), Message{role, TextContent(text)})}
}

// Validate reports the first message that has no place in the template: a system message may only come first, then user
// and assistant alternate. Users' and system messages must not be empty.
func (c Conversation) Validate() error {
	expected := User
	for i, message := range c.Messages {
		switch {
		case message.Role == System && i == 0:
		case message.Role == System:
			return fmt.Errorf("message %d is a system message; it may only come first", i)
		case message.Role != User && message.Role != Assistant:
			return fmt.Errorf("message %d has role %q; there are %s, %s and %s", i, message.Role, System, User, Assistant)
		case message.Role != expected:
			return fmt.Errorf("message %d is of the %s; user and assistant must alternate, and the %s is next", i, message.Role, expected)
		case expected == User:
			expected = Assistant
		default:
			expected = User
		}
		if err := message.validateContent(); err != nil {
			return fmt.Errorf("message %d of the %s: %w", i, message.Role, err)
		}
	}
	if len(c.Messages) == 0 {
		return errors.New("the conversation has no message; give one of the user")
	}
	return nil
}

func (m Message) validateContent() error {
	for i, part := range m.Content {
		switch {
		case part.Type == Text:
		case part.Type != Python && part.Type != Output:
			return fmt.Errorf("part %d has type %q; there are %s, %s and %s", i, part.Type, Text, Python, Output)
		case m.Role != Assistant:
			return fmt.Errorf("part %d has type %q; only the assistant's may", i, part.Type)
		}
		if at := invalidUTF8(part.Text); at >= 0 {
			return fmt.Errorf("part %d is not valid UTF-8 at byte %d", i, at)
		}
	}
	if m.Role != Assistant && m.Content.Text() == "" {
		return errors.New("it is empty; give it some text")
	}
	return nil
}

// invalidUTF8 is the index of the first byte that begins no character, or -1.
func invalidUTF8(text string) int {
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return -1
}
