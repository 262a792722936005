package web

import (
	"encoding/json"
	"fmt"

	"tandem/workbench/chat"
	"tandem/workbench/generate"
)

// request is what a client asks for, checked as far as no model is needed.
type request struct {
	limits *Limits

	model        string
	messages     []chat.Message // of a chat completion
	prompt       string         // of a completion
	stream       bool
	includeUsage bool
	maxTokens    int // 0 is the limit
	stop         []string
	sampling     generate.Sampling
	seeded       bool // else the seed is drawn
	overflow     generate.Overflow
	logProbs     bool
}

// newRequest has OpenAI's default: temperature 1 and nothing kept from being drawn.
func newRequest(limits *Limits) *request {
	return &request{limits: limits, sampling: generate.Sampling{Temperature: 1}}
}

var chatFields = map[string]reader{
	"messages":              readMessages,
	"max_completion_tokens": readMaxTokens,
	"logprobs":              readChatLogProbs,
}

var completionFields = map[string]reader{
	"prompt":   readPrompt,
	"logprobs": readTextLogProbs,
}

// decodeChat reads the body of /v1/chat/completions.
func decodeChat(body []byte, limits *Limits) (*request, *apiError) {
	r := newRequest(limits)
	if err := r.readFields(body, chatFields); err != nil {
		return nil, err
	}
	if len(r.messages) == 0 {
		return nil, missing("messages", "a list that ends with the user's, such as [{\"role\":\"user\",\"content\":\"hello\"}]")
	}
	if r.model == "" {
		return nil, missing("model", "a name that GET /v1/models lists")
	}
	conversation := chat.Conversation{Messages: r.messages}
	if err := conversation.Validate(); err != nil {
		return nil, invalid("messages", "%s", err.Error())
	}
	if last := r.messages[len(r.messages)-1].Role; last != chat.User {
		return nil, invalid("messages", "the last message is of the %s; it must be the user's to be answered", last)
	}
	return r, nil
}

// decodeCompletion reads the body of /v1/completions.
func decodeCompletion(body []byte, limits *Limits) (*request, *apiError) {
	r := newRequest(limits)
	if err := r.readFields(body, completionFields); err != nil {
		return nil, err
	}
	if r.model == "" {
		return nil, missing("model", "a name that GET /v1/models lists")
	}
	return r, nil
}

// readPrompt takes one text: as a string, or as a list of one.
func readPrompt(r *request, name string, raw json.RawMessage) (err *apiError) {
	if kindOf(raw) == "an array" {
		list, err := array(name, raw)
		if err != nil {
			return err
		}
		if len(list) != 1 || kindOf(list[0]) != "a string" {
			return invalid(name, "%s is a list of %d; this server continues one text a request: give a string", name, len(list))
		}
		raw = list[0]
	}
	r.prompt, err = text(name, raw)
	return err
}

func readMessages(r *request, name string, raw json.RawMessage) *apiError {
	list, err := array(name, raw)
	if err != nil {
		return err
	}
	if len(list) > r.limits.Messages {
		return invalid(name, "%s has %d messages; at most %d are allowed", name, len(list), r.limits.Messages)
	}
	for i, raw := range list {
		message, err := readMessage(fmt.Sprintf("%s[%d]", name, i), raw)
		if err != nil {
			return err
		}
		r.messages = append(r.messages, message)
	}
	return nil
}

func readMessage(param string, raw json.RawMessage) (message chat.Message, err *apiError) {
	members, err := object(param, raw)
	if err != nil {
		return message, err
	}
	var parts chat.Content // of an answer that used a tool, which say more than its content
	for _, m := range members {
		place := join(param, m.name)
		switch m.name {
		case "role":
			message.Role, err = readRole(place, m.raw)
		case "content":
			message.Content, err = readContent(place, m.raw)
		case "tandem":
			parts, err = readOwnAnswer(place, m.raw)
		default:
			// Clients send back the fields of an answer that hold nothing.
			if string(m.raw) != "[]" {
				err = unknownField(place, []string{"role", "content", "tandem"})
			}
		}
		if err != nil {
			return message, err
		}
	}
	if message.Role == "" {
		return message, missing(join(param, "role"), "system, user or assistant")
	}
	if parts != nil {
		message.Content = parts
	}
	return message, nil
}

// readOwnAnswer takes what ownAnswer gave.
func readOwnAnswer(param string, raw json.RawMessage) (parts chat.Content, err *apiError) {
	members, err := object(param, raw)
	if err != nil {
		return nil, err
	}
	for _, m := range members {
		if m.name != "parts" {
			return nil, unknownField(join(param, m.name), []string{"parts"})
		}
		if parts, err = readContent(join(param, m.name), m.raw); err != nil {
			return nil, err
		}
	}
	return parts, nil
}

// readRole also takes "developer", OpenAI's newer name of the system.
func readRole(param string, raw json.RawMessage) (chat.Role, *apiError) {
	name, err := text(param, raw)
	if err != nil {
		return "", err
	}
	switch role := chat.Role(name); role {
	case chat.System, chat.User, chat.Assistant:
		return role, nil
	case "developer":
		return chat.System, nil
	}
	return "", oneOf(param, name, []string{string(chat.System), "developer", string(chat.User), string(chat.Assistant)})
}

// readContent takes a string or a list of parts. Beside text, an assistant's message may have parts of tool use, which
// is how the answers of this server are sent back whole.
func readContent(param string, raw json.RawMessage) (chat.Content, *apiError) {
	if kindOf(raw) == "a string" {
		value, err := text(param, raw)
		return chat.TextContent(value), err
	}
	list, err := array(param, raw)
	if err != nil {
		return nil, invalid(param, "%s must be a string or a list of parts, not %s", param, kindOf(raw))
	}
	content := make(chat.Content, len(list))
	for i, raw := range list {
		place := fmt.Sprintf("%s[%d]", param, i)
		members, err := object(place, raw)
		if err != nil {
			return nil, err
		}
		for _, m := range members {
			if m.name != "type" && m.name != "text" {
				return nil, unknownField(join(place, m.name), []string{"type", "text"})
			}
			value, err := text(join(place, m.name), m.raw)
			if err != nil {
				return nil, err
			}
			if m.name == "type" {
				content[i].Type = chat.PartType(value)
			} else {
				content[i].Text = value
			}
		}
		switch content[i].Type {
		case chat.Text, chat.Python, chat.Output:
		default:
			return nil, oneOf(join(place, "type"), string(content[i].Type), []string{string(chat.Text), string(chat.Python), string(chat.Output)})
		}
	}
	return content, nil
}
