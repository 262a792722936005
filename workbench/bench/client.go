package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// loadClient asks a server by OpenAI's API, with as many connections as there are clients.
type loadClient struct {
	http   *http.Client
	o      LoadOptions
	served string // the model's name
}

func newLoadClient(o LoadOptions) *loadClient {
	return &loadClient{o: o, http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: o.Clients}}}
}

// model asks for the name of the model that is served.
func (c *loadClient) model(ctx context.Context) (string, error) {
	response, err := c.send(ctx, "GET", "/v1/models", nil)
	if err != nil {
		return "", fmt.Errorf("bench serve: ask %s for its model: %w; start one with: workbench serve", c.o.URL, err)
	}
	defer response.Body.Close()
	var list struct {
		Data []struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("bench serve: ask %s for its model: status %s; give the address of an OpenAI API, and its --token", c.o.URL, response.Status)
	}
	if err := json.NewDecoder(response.Body).Decode(&list); err != nil || len(list.Data) == 0 {
		return "", fmt.Errorf("bench serve: %s lists no model at /v1/models; give the address of an OpenAI API", c.o.URL)
	}
	c.served = list.Data[0].ID
	return c.served, nil
}

func (c *loadClient) send(ctx context.Context, method, path string, body any) (*http.Response, error) {
	encoded, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(c.o.URL, "/")+path, bytes.NewReader(encoded))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	if c.o.Token != "" {
		request.Header.Set("Authorization", "Bearer "+c.o.Token)
	}
	return c.http.Do(request)
}

// reply is what came back for a question.
type reply struct {
	text                       string
	first                      time.Duration // to the first piece of text; 0 if there was none
	promptTokens, answerTokens int
	problem                    string // "" if the answer is whole, else the status, or "none"
}

// ask asks for a greedy answer as a stream.
func (c *loadClient) ask(ctx context.Context, question string) (r reply) {
	started := time.Now()
	response, err := c.send(ctx, "POST", "/v1/chat/completions", map[string]any{
		"model": c.served, "messages": []map[string]string{{"role": "user", "content": question}},
		"temperature": 0, "max_tokens": c.o.Tokens, "stream": true, "stream_options": map[string]bool{"include_usage": true},
	})
	if err != nil {
		return reply{problem: "none"}
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return reply{problem: strconv.Itoa(response.StatusCode)}
	}
	r.problem = "none" // until the stream says that it is whole
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		data, isEvent := strings.CutPrefix(lines.Text(), "data: ")
		switch {
		case !isEvent:
		case data == "[DONE]":
			r.problem = ""
		default:
			if !r.take([]byte(data), started) {
				return r
			}
		}
	}
	return r
}

// take adds an event; false if it is an error.
func (r *reply) take(data []byte, started time.Time) bool {
	var event struct {
		Choices []struct {
			Delta struct {
				Content string `json:"content"`
			} `json:"delta"`
		} `json:"choices"`
		Usage *struct {
			Prompt int `json:"prompt_tokens"`
			Answer int `json:"completion_tokens"`
		} `json:"usage"`
		Error json.RawMessage `json:"error"`
	}
	if json.Unmarshal(data, &event) != nil || event.Error != nil {
		return false
	}
	for _, choice := range event.Choices {
		if choice.Delta.Content != "" && r.first == 0 {
			r.first = time.Since(started)
		}
		r.text += choice.Delta.Content
	}
	if event.Usage != nil {
		r.promptTokens, r.answerTokens = event.Usage.Prompt, event.Usage.Answer
	}
	return true
}
