package web

import (
	"tandem/workbench/chat"
	"tandem/workbench/generate"
)

// The objects of OpenAI's API (https://platform.openai.com/docs/api-reference/chat and /completions). What it has no place
// for is under "tandem": parts of tool use, speeds, and the model's blocks.

// completionObject is a whole answer, or a chunk of one.
type completionObject struct {
	ID      string   `json:"id"`
	Object  string   `json:"object"`
	Created int64    `json:"created"`
	Model   string   `json:"model"`
	Choices []choice `json:"choices"`
	Usage   *usage   `json:"usage,omitempty"`
}

type choice struct {
	Index   int          `json:"index"`
	Message *messageBody `json:"message,omitempty"`
	Delta   *deltaBody   `json:"delta,omitempty"`
	Text    *string      `json:"text,omitempty"`
	// FinishReason and LogProbs are null where there is none.
	FinishReason *string `json:"finish_reason"`
	LogProbs     any     `json:"logprobs"`
}

type messageBody struct {
	Role    string     `json:"role"`
	Content string     `json:"content"`
	Refusal *string    `json:"refusal"`
	Own     *ownAnswer `json:"tandem,omitempty"`
}

// ownAnswer gives an answer that used a tool whole, to be sent back with its message, or as the content of one.
type ownAnswer struct {
	Parts chat.Content `json:"parts"`
}

type deltaBody struct {
	Role    string    `json:"role,omitempty"`
	Content *string   `json:"content,omitempty"`
	Own     *ownDelta `json:"tandem,omitempty"`
}

// ownDelta is a delta of any part but a text that comes first.
type ownDelta struct {
	Part    int           `json:"part"`
	Type    chat.PartType `json:"type"`
	Text    string        `json:"text"`
	Problem string        `json:"problem,omitempty"`
}

type usage struct {
	Prompt  int           `json:"prompt_tokens"`
	Answer  int           `json:"completion_tokens"`
	Total   int           `json:"total_tokens"`
	Details promptDetails `json:"prompt_tokens_details"`
	Own     ownUsage      `json:"tandem"`
}

type promptDetails struct {
	Cached int `json:"cached_tokens"`
}

type ownUsage struct {
	FirstTokenMs    float64 `json:"first_token_ms"`
	TokensPerSecond float64 `json:"tokens_per_second"`
}

func usageOf(u chat.Usage) *usage {
	return &usage{
		Prompt: u.Prompt, Answer: u.Answer, Total: u.Prompt + u.Answer, Details: promptDetails{u.Reused},
		Own: ownUsage{FirstTokenMs: 1000 * u.First.Seconds(), TokensPerSecond: u.TokensPerSecond()},
	}
}

// finishReason is OpenAI's word for why an answer ended.
func finishReason(finish string) *string {
	reason := "length"
	if finish == generate.FinishStop {
		reason = "stop"
	}
	return &reason
}

// chatChoice is a whole message.
func chatChoice(content chat.Content, finish string) choice {
	message := &messageBody{Role: string(chat.Assistant), Content: content.Text()}
	if len(content) > 1 || (len(content) == 1 && content[0].Type != chat.Text) {
		message.Own = &ownAnswer{content}
	}
	return choice{Message: message, FinishReason: finishReason(finish)}
}

// chatDelta is a piece of a message.
func chatDelta(d chat.Delta) choice {
	body := &deltaBody{}
	if d.Type == chat.Text {
		body.Content = &d.Text
	}
	if d.Type != chat.Text || d.Part > 0 {
		body.Own = &ownDelta{Part: d.Part, Type: d.Type, Text: d.Text, Problem: d.Problem}
	}
	return choice{Delta: body}
}

// chatFirst tells the role.
func chatFirst() choice {
	empty := ""
	return choice{Delta: &deltaBody{Role: string(chat.Assistant), Content: &empty}}
}

func chatLast(finish string) choice {
	return choice{Delta: &deltaBody{}, FinishReason: finishReason(finish)}
}

func textChoice(content chat.Content, finish string) choice {
	text := content.Text()
	return choice{Text: &text, FinishReason: finishReason(finish)}
}

// textDelta has no place for tool use.
func textDelta(d chat.Delta) choice {
	text := ""
	if d.Type == chat.Text {
		text = d.Text
	}
	return choice{Text: &text}
}

func textLast(finish string) choice {
	empty := ""
	return choice{Text: &empty, FinishReason: finishReason(finish)}
}
