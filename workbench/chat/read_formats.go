package chat

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// fileFormat is one way of writing a conversation as a JSON object; the fields that it has tell it from the others.
type fileFormat struct {
	name   string
	fields []string
	parse  func(object map[string]json.RawMessage) ([]Message, error)
}

// fileFormats are those that Read knows, in the order in which they are tried.
var fileFormats = []fileFormat{
	{"OpenAI", []string{"messages"}, parseOpenAI},
	{"ShareGPT", []string{"conversations"}, parseShareGPT},
	{"Alpaca", []string{"instruction", "output"}, parseAlpaca},
	{"GSM8K", []string{"question", "answer"}, parseGSM8K},
}

// Formats says in words what Read understands.
func Formats() string {
	names := make([]string, len(fileFormats))
	for i, format := range fileFormats {
		names[i] = fmt.Sprintf("%s (%s)", format.name, strings.Join(format.fields, ", "))
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}

// parse reads one object in whichever format it is.
func parse(text []byte) ([]Message, error) {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(text, &object); err != nil {
		return nil, fmt.Errorf("%w; each must be a JSON object; fix or delete this one", err)
	}
	for _, format := range fileFormats {
		if !slices.ContainsFunc(format.fields, func(field string) bool { return object[field] == nil }) {
			return format.parse(object)
		}
	}
	return nil, fmt.Errorf("the fields %s are of no known format; there are %s",
		strings.Join(slices.Sorted(maps.Keys(object)), ", "), Formats())
}

// field reads a field that must have the type of target.
func field(object map[string]json.RawMessage, name string, target any) error {
	if err := json.Unmarshal(object[name], target); err != nil {
		return &Refused{Reason: BadContent, Err: fmt.Errorf("%s: %w", name, err)}
	}
	return nil
}

// optional reads a field if it is there.
func optional(object map[string]json.RawMessage, name string, target any) error {
	if object[name] == nil {
		return nil
	}
	return field(object, name, target)
}

// parseOpenAI reads {"messages": [{"role": …, "content": …}]}, content as Content's JSON. What else a message holds must
// be empty, for it would be lost.
func parseOpenAI(object map[string]json.RawMessage) (messages []Message, err error) {
	return messages, field(object, "messages", &messages)
}

// shareGPTRoles are the names that files of this kind give the roles.
var shareGPTRoles = map[string]Role{
	"human": User, "user": User, "gpt": Assistant, "chatgpt": Assistant, "assistant": Assistant, "system": System,
}

// parseShareGPT reads {"conversations": [{"from": "human", "value": …}]}, and the field system, which may be missing.
func parseShareGPT(object map[string]json.RawMessage) ([]Message, error) {
	var turns []struct{ From, Value string }
	if err := field(object, "conversations", &turns); err != nil {
		return nil, err
	}
	var messages []Message
	for i, turn := range turns {
		role, ok := shareGPTRoles[turn.From]
		if !ok {
			return nil, &Refused{Reason: WrongRoles, Err: fmt.Errorf("turn %d is from %q; there are %s", i, turn.From,
				strings.Join(slices.Sorted(maps.Keys(shareGPTRoles)), ", "))}
		}
		messages = append(messages, Message{role, TextContent(turn.Value)})
	}
	return withSystem(object, messages)
}

// withSystem puts the text of the field system first, unless a system message already is.
func withSystem(object map[string]json.RawMessage, messages []Message) ([]Message, error) {
	var system string
	if err := optional(object, "system", &system); err != nil || system == "" || len(messages) > 0 && messages[0].Role == System {
		return messages, err
	}
	return append(NewConversation(system).Messages, messages...), nil
}

// parseAlpaca reads {"instruction": …, "input": …, "output": …}; the input, which may be missing, follows the
// instruction after an empty line. So may be missing history, a list of [question, answer] that came before, and system.
func parseAlpaca(object map[string]json.RawMessage) ([]Message, error) {
	var instruction, input, output string
	var history [][2]string
	err := errors.Join(field(object, "instruction", &instruction), field(object, "output", &output),
		optional(object, "input", &input), optional(object, "history", &history))
	if err != nil {
		return nil, err
	}
	if input != "" {
		instruction += "\n\n" + input
	}
	var c Conversation
	for _, turn := range append(history, [2]string{instruction, output}) {
		c = c.With(User, turn[0]).With(Assistant, turn[1])
	}
	return withSystem(object, c.Messages)
}

// parseGSM8K reads {"question": …, "answer": …}, where the answer holds calculations as <<48/2=24>>: these become a call
// of Python and its output. The last line is #### and the result (Cobbe et al. 2021, arXiv:2110.14168).
func parseGSM8K(object map[string]json.RawMessage) ([]Message, error) {
	var question, answer string
	if err := errors.Join(field(object, "question", &question), field(object, "answer", &answer)); err != nil {
		return nil, err
	}
	return []Message{{User, TextContent(question)}, {Assistant, calculations(answer)}}, nil
}

// calculations splits an answer at its <<expression=result>>; what does not look like that stays text.
func calculations(answer string) (content Content) {
	text := func(piece string) {
		if last := len(content) - 1; last >= 0 && content[last].Type == Text {
			content[last].Text += piece
		} else {
			content = append(content, TextContent(piece)...)
		}
	}
	for answer != "" {
		before, rest, found := strings.Cut(answer, "<<")
		text(before)
		if !found {
			break
		}
		inside, after, closed := strings.Cut(rest, ">>")
		at := strings.LastIndexByte(inside, '=')
		if !closed || at < 1 || at == len(inside)-1 {
			text("<<")
			answer = rest
			continue
		}
		content = append(content, Part{Python, inside[:at]}, Part{Output, inside[at+1:]})
		answer = after
	}
	return content
}
