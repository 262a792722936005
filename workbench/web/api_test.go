package web_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tandem/workbench/generate"
	"tandem/workbench/web"
)

const chatPath, textPath = "/v1/chat/completions", "/v1/completions"

func TestBadRequestsGetOpenAIsErrorWithAUsefulMessage(t *testing.T) {
	server := listening(t, &fakeEngine{}, func(o *web.Options) { o.Limits.Body, o.Limits.Messages = 4096, 3 })
	user := `{"role":"user","content":"hello"}`
	chat := func(fields string) string { return `{"model":"tiny","messages":[` + user + `]` + fields + `}` }
	for _, c := range []struct {
		name, path, body string
		status           int
		param, message   string
	}{
		{"an empty body", chatPath, "", 400, "", "the request body is empty"},
		{"malformed JSON", chatPath, `{"model":"tiny",}`, 400, "", "invalid character '}' looking for beginning of object key string at byte 17"},
		{"JSON that ends early", chatPath, `{"model":"ti`, 400, "", "unexpected end of JSON input"},
		{"something after the JSON", chatPath, chat("") + "x", 400, "", "invalid character 'x'"},
		{"a list", chatPath, `[]`, 400, "", "the request body must be an object, not an array"},
		{"invalid UTF-8", chatPath, chat(",\"user\":\"\xff\""), 400, "", "not valid UTF-8 at byte"},
		{"an unknown field", chatPath, chat(`,"temprature":1`), 400, "temprature", `unknown field "temprature"; the known ones are logprobs, max_completion_tokens, max_tokens, messages`},
		{"a field that comes twice", chatPath, chat(`,"seed":1,"seed":2`), 400, "seed", "seed occurs twice"},
		{"an unknown model", chatPath, `{"model":"gpt-9","messages":[` + user + `]}`, 404, "model", `there is no model "gpt-9"; this server has "tiny"`},
		{"no model", chatPath, `{"messages":[` + user + `]}`, 400, "model", "model is missing"},
		{"no messages", chatPath, `{"model":"tiny"}`, 400, "messages", "messages is missing"},
		{"empty messages", chatPath, `{"model":"tiny","messages":[]}`, 400, "messages", "messages is missing"},
		{"too many messages", chatPath, `{"model":"tiny","messages":[` + strings.Repeat(user+",", 3) + user + `]}`, 400, "messages", "messages has 4 messages; at most 3"},
		{"a huge body", chatPath, chat(`,"user":"` + strings.Repeat("a", 5000) + `"`), 413, "", "more than 4096 bytes"},
		{"an unknown role", chatPath, `{"model":"tiny","messages":[{"role":"wizard","content":"x"}]}`, 400, "messages[0].role", `messages[0].role is "wizard"; it must be one of assistant, developer, system, user`},
		{"no role", chatPath, `{"model":"tiny","messages":[{"content":"x"}]}`, 400, "messages[0].role", "is missing"},
		{"an empty message", chatPath, `{"model":"tiny","messages":[{"role":"user","content":""}]}`, 400, "messages", "empty"},
		{"a message of two users", chatPath, `{"model":"tiny","messages":[` + user + `,` + user + `]}`, 400, "messages", "must alternate"},
		{"a last message of the assistant", chatPath, `{"model":"tiny","messages":[` + user + `,{"role":"assistant","content":"x"}]}`, 400, "messages", "must be the user's"},
		{"an unknown field of a message", chatPath, `{"model":"tiny","messages":[{"role":"user","content":"x","name":"y"}]}`, 400, "messages[0].name", `unknown field "messages[0].name"; the known ones are content, role, tandem`},
		{"a picture as OpenAI has it", chatPath, `{"model":"tiny","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"x"}}]}]}`, 400, "messages[0].content[0].image_url", "unknown field \"messages[0].content[0].image_url\"; the known ones are text, type"},
		{"a picture", chatPath, `{"model":"tiny","messages":[{"role":"user","content":[{"type":"image_url","text":""}]}]}`, 400, "messages[0].content[0].type", "must be one of python, python_output, text"},
		{"a number as content", chatPath, `{"model":"tiny","messages":[{"role":"user","content":3}]}`, 400, "messages[0].content", "must be a string or a list of parts, not a number"},
		{"a negative temperature", chatPath, chat(`,"temperature":-0.5`), 400, "temperature", "temperature -0.5: must lie between 0 and 100"},
		{"NaN", chatPath, chat(`,"temperature":NaN`), 400, "", "invalid character 'N'"},
		{"an infinite temperature", chatPath, chat(`,"temperature":1e999`), 400, "temperature", "out of a number's range"},
		{"a temperature in words", chatPath, chat(`,"temperature":"hot"`), 400, "temperature", "temperature must be a number, not a string"},
		{"a top_p beyond one", chatPath, chat(`,"top_p":1.5`), 400, "top_p", "must lie between 0 and 1"},
		{"half a token", chatPath, chat(`,"max_tokens":1.5`), 400, "max_tokens", "must be a whole number between 1 and"},
		{"no tokens", chatPath, chat(`,"max_tokens":0`), 400, "max_tokens", "must be a whole number between 1 and"},
		{"too many tokens", chatPath, chat(`,"max_tokens":99999999999999999999`), 400, "max_tokens", "must be a whole number between 1 and"},
		{"both limits", chatPath, chat(`,"max_tokens":1,"max_completion_tokens":1`), 400, "max_completion_tokens", "are the same"},
		{"an empty stop string", chatPath, chat(`,"stop":""`), 400, "stop", "stop string 0 is empty"},
		{"two answers", chatPath, chat(`,"n":2`), 400, "n", "n is 2, which this server cannot do; leave it out, or give 1"},
		{"a penalty", chatPath, chat(`,"frequency_penalty":0.5`), 400, "frequency_penalty", "cannot do"},
		{"tools", chatPath, chat(`,"tools":[{"type":"function"}]`), 400, "tools", "cannot do"},
		{"an unknown overflow", chatPath, chat(`,"overflow":"explode"`), 400, "overflow", "must be one of continue, error, forget, slide"},
		{"two prompts", textPath, `{"model":"tiny","prompt":["a","b"]}`, 400, "prompt", "one text a request"},
		{"a prompt of ids", textPath, `{"model":"tiny","prompt":[1,2]}`, 400, "prompt", "give a string"},
		{"messages for a text", textPath, `{"model":"tiny","messages":[` + user + `]}`, 400, "messages", "unknown field"},
		{"alternatives to tokens of a text", textPath, `{"model":"tiny","prompt":"a","logprobs":3}`, 400, "logprobs", "logprobs is 3, which this server cannot do; give 0 for the chosen tokens' alone, or leave it out"},
		{"alternatives to tokens of a message", chatPath, chat(`,"logprobs":true,"top_logprobs":3`), 400, "top_logprobs", "top_logprobs is 3, which this server cannot do; leave it out, or give 0"},
		{"log-probabilities in a number", chatPath, chat(`,"logprobs":1`), 400, "logprobs", "must be true or false, not a number"},
		{"log-probabilities in a boolean", textPath, `{"model":"tiny","prompt":"a","logprobs":true}`, 400, "logprobs", "must be a whole number"},
	} {
		t.Run(c.name, func(t *testing.T) {
			response, body := send(t, "POST", server.URL+c.path, c.body)
			require.Equal(t, c.status, response.StatusCode, body)
			p := problemOf(t, body)
			require.Equal(t, c.param, p.Param)
			require.Contains(t, p.Message, c.message)
			require.Equal(t, "invalid_request_error", p.Type)
			require.NotContains(t, p.Message, "\n")
		})
	}
}

func TestAConversationThatDoesNotFitIsRefusedByOpenAIsCode(t *testing.T) {
	server := listening(t, &fakeEngine{}, nil)
	response, body := send(t, "POST", server.URL+chatPath, question(strings.Repeat("a", fakeCapacity+1), ""))
	require.Equal(t, 400, response.StatusCode)
	require.Equal(t, "context_length_exceeded", problemOf(t, body).Code)
	response, body = send(t, "POST", server.URL+textPath, `{"model":"tiny","prompt":"`+strings.Repeat("a", fakeCapacity+1)+`"}`)
	require.Equal(t, 400, response.StatusCode)
	p := problemOf(t, body)
	require.Equal(t, "context_length_exceeded", p.Code)
	require.Equal(t, "prompt", p.Param)
}

func TestUnknownPathsAndMethodsGetTheShapeToo(t *testing.T) {
	server := listening(t, &fakeEngine{}, nil)
	response, body := send(t, "GET", server.URL+chatPath, "")
	require.Equal(t, 405, response.StatusCode)
	require.Equal(t, "POST", response.Header.Get("Allow"))
	require.Contains(t, problemOf(t, body).Message, "takes POST, not GET")
	response, body = send(t, "POST", server.URL+"/v1/embeddings", "{}")
	require.Equal(t, 404, response.StatusCode)
	require.Contains(t, problemOf(t, body).Message, "the API is at /v1/chat/completions")
	response, body = send(t, "GET", server.URL+"/v1/models/other", "")
	require.Equal(t, 404, response.StatusCode)
	require.Equal(t, "model_not_found", problemOf(t, body).Code)
}

func TestEnginesErrorsBecomeStatuses(t *testing.T) {
	for _, c := range []struct {
		name   string
		engine *fakeEngine
		status int
		code   string
	}{
		{"a full queue", &fakeEngine{refuse: fmt.Errorf("generate: %w", generate.ErrBusy)}, 429, "rate_limit_exceeded"},
		{"a closed engine", &fakeEngine{refuse: fmt.Errorf("generate: %w", generate.ErrClosed)}, 503, "stopping"},
		{"a refused request", &fakeEngine{refuse: errors.New("overflow: the state grows")}, 400, ""},
		{"a broken model", &fakeEngine{broken: errors.New("not numbers")}, 500, ""},
		{"a panic", &fakeEngine{panics: true}, 500, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := listening(t, c.engine, nil)
			response, body := send(t, "POST", server.URL+chatPath, question("hello", ""))
			require.Equal(t, c.status, response.StatusCode, body)
			require.Equal(t, c.code, problemOf(t, body).Code)
			require.Equal(t, c.status == 429, response.Header.Get("Retry-After") == "1")
			_, metrics := send(t, "GET", server.URL+"/metrics", "")
			require.Contains(t, metrics, fmt.Sprintf("tandem_requests_total{path=%q,status=\"%d\"} 1\n", chatPath, c.status))
		})
	}
}

func TestAnErrorInTheMiddleOfAStreamIsAnEvent(t *testing.T) {
	server := listening(t, &fakeEngine{broken: errors.New("not numbers")}, nil)
	response, body := send(t, "POST", server.URL+chatPath, question("hello", `,"stream":true`))
	require.Equal(t, 200, response.StatusCode)
	events := strings.Split(strings.TrimSpace(body), "\n\n")
	require.Contains(t, events[1], `"content":"h"`)
	last := strings.TrimPrefix(events[len(events)-1], "data: ")
	require.Equal(t, "the model failed: not numbers", problemOf(t, last).Message)
	require.NotContains(t, body, "[DONE]")
}

func TestTheTokenIsAskedForWhereThereIsOne(t *testing.T) {
	server := listening(t, &fakeEngine{}, func(o *web.Options) { o.Token = "open sesame" })
	for _, c := range []struct {
		name, path, token string
		status            int
	}{
		{"no token", "/v1/models", "", 401},
		{"a wrong token", "/v1/models", "Bearer open", 401},
		{"another scheme", "/v1/models", "Basic open sesame", 401},
		{"the token", "/v1/models", "Bearer open sesame", 200},
		{"metrics without it", "/metrics", "", 401},
		{"metrics with it", "/metrics", "bearer open sesame", 200},
		{"the page asks for it itself", "/", "", 200},
		{"health is no secret", "/healthz", "", 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			response, body := send(t, "GET", server.URL+c.path, "", "Authorization", c.token, "Host", "models.example:80")
			require.Equal(t, c.status, response.StatusCode)
			if c.status == 401 {
				require.Equal(t, "authentication_error", problemOf(t, body).Type)
				require.Contains(t, response.Header.Get("WWW-Authenticate"), "Bearer")
			}
		})
	}
}

func TestOtherSitesCannotUseAServerThatHasNoToken(t *testing.T) {
	server := listening(t, &fakeEngine{}, nil)
	response, body := send(t, "POST", server.URL+chatPath, question("hello", ""), "Origin", "https://elsewhere.example", "Sec-Fetch-Site", "cross-site")
	require.Equal(t, http.StatusForbidden, response.StatusCode)
	require.Equal(t, "cross_origin", problemOf(t, body).Code)
	response, body = send(t, "GET", server.URL+"/v1/models", "", "Host", "elsewhere.example")
	require.Equal(t, http.StatusForbidden, response.StatusCode)
	require.Contains(t, problemOf(t, body).Message, `host "elsewhere.example": without a token`)
	response, _ = send(t, "GET", server.URL+"/v1/models", "", "Host", "localhost:9")
	require.Equal(t, http.StatusOK, response.StatusCode)
}

func TestAddressesBeyondThisMachineNeedAToken(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:8000", "localhost:0", "[::1]:8000", "127.9.9.9:1"} {
		require.NoError(t, web.CheckAddress(addr, ""), addr)
	}
	for _, addr := range []string{":8000", "0.0.0.0:8000", "[::]:8000", "192.168.1.2:80", "machine:80", "127.0.0.1.example:80"} {
		require.ErrorContains(t, web.CheckAddress(addr, ""), "give a --token", addr)
		require.NoError(t, web.CheckAddress(addr, "secret"), addr)
	}
	require.ErrorContains(t, web.CheckAddress("8000", "secret"), "give HOST:PORT")
}

func TestMetricsCountWhatHappened(t *testing.T) {
	server := listening(t, &fakeEngine{}, func(o *web.Options) { o.StateBytes = func() int64 { return 12345 } })
	send(t, "POST", server.URL+chatPath, question("hello", ""))
	send(t, "POST", server.URL+chatPath, "{")
	send(t, "GET", server.URL+"/metrics", "")
	_, body := send(t, "GET", server.URL+"/metrics", "")
	for _, line := range []string{
		`tandem_requests_total{path="/v1/chat/completions",status="200"} 1`, `tandem_requests_total{path="/v1/chat/completions",status="400"} 1`,
		`tandem_requests_total{path="/metrics",status="200"} 1`, "tandem_answer_tokens_total 5", "tandem_prompt_tokens_total 9", "tandem_requests_running 0", "tandem_state_bytes 12345", "tandem_cache_bytes 100",
	} {
		require.Contains(t, body, line+"\n")
	}
}
