package web

import (
	"math"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"tandem/workbench/chat"
	"tandem/workbench/generate"
)

func TestAFullChatRequestIsReadAsItIsWritten(t *testing.T) {
	limits, err := Limits{}.resolved()
	require.NoError(t, err)
	r, problem := decodeChat([]byte(`{
		"model": "tiny", "stream": true, "stream_options": {"include_usage": true}, "max_completion_tokens": 7, "stop": ["a", "b"],
		"seed": -1, "temperature": 0, "top_p": 0, "top_k": 5, "min_p": 0.1, "repetition_penalty": 1.2, "overflow": "forget",
		"n": 1, "user": "someone", "response_format": { "type" : "text" }, "tools": null,
		"messages": [
			{"role": "developer", "content": "Be brief."},
			{"role": "user", "content": [{"type": "text", "text": "2+2"}]},
			{"role": "assistant", "content": [{"type": "python", "text": "2+2"}, {"type": "python_output", "text": "4"}], "refusal": null, "annotations": []},
			{"role": "user", "content": "and \u00e9?"}
		]}`), &limits)
	require.Nil(t, problem)
	require.Equal(t, []chat.Message{
		{Role: chat.System, Content: chat.TextContent("Be brief.")},
		{Role: chat.User, Content: chat.TextContent("2+2")},
		{Role: chat.Assistant, Content: chat.Content{{Type: chat.Python, Text: "2+2"}, {Type: chat.Output, Text: "4"}}},
		{Role: chat.User, Content: chat.TextContent("and é?")},
	}, r.messages)
	require.Equal(t, generate.Sampling{TopK: 5, TopP: 1e-9, MinP: 0.1, RepetitionPenalty: 1.2, Seed: math.MaxUint64}, r.sampling)
	require.Equal(t, []string{"a", "b"}, r.stop)
	require.Equal(t, chat.OverflowForget, r.overflow)
	require.Equal(t, 7, r.maxTokens)
	require.True(t, r.stream && r.includeUsage && r.seeded)
}

func FuzzRequestsAreReadOrRefused(f *testing.F) {
	for _, seed := range []string{
		"", "{}", "[]", "null", `{"model":"a","messages":[{"role":"user","content":"b"}]}`, `{"model":"a","prompt":["b"]}`,
		`{"model":"a","messages":[{"role":"user","content":[{"type":"text","text":"\ud800"}]}],"temperature":1e400,"stop":["x"]}`,
		`{"model":"a","messages":[{"role":"system","content":"b"},{"role":"user","content":"\u0000"}],"n":1,"top_p":0.5,"seed":9223372036854775807}`,
		`{"stream_options":{"include_usage":true},"logit_bias":{},"temperature":-0,"max_tokens":1,"max_completion_tokens":1}`,
		"{\"model\":\"\xff\"}", `{"a":1,"a":2}`, `{"model":"a","model":"b"}`, `{"messages":{"role":1}}`,
		`{"model":"a","prompt":"b","logprobs":0}`, `{"model":"a","messages":[{"role":"user","content":"b"}],"logprobs":true,"top_logprobs":0}`,
	} {
		f.Add([]byte(seed))
	}
	limits, err := Limits{}.resolved()
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, decode := range []func([]byte, *Limits) (*request, *apiError){decodeChat, decodeCompletion} {
			r, problem := decode(body, &limits)
			if problem != nil {
				require.Nil(t, r)
				require.NotEmpty(t, problem.message)
				require.True(t, utf8.ValidString(problem.message), "the message must be valid JSON text")
				require.GreaterOrEqual(t, problem.status, 400)
				continue
			}
			require.NoError(t, r.sampling.Validate())
			require.NoError(t, chat.Options{Stop: r.stop, MaxTokens: r.maxTokens, Sampling: r.sampling}.Validate())
			require.LessOrEqual(t, r.maxTokens, limits.MaxTokens)
			require.True(t, utf8.ValidString(r.prompt))
			if len(r.messages) > 0 {
				require.NoError(t, chat.Conversation{Messages: r.messages}.Validate())
				require.Equal(t, chat.User, r.messages[len(r.messages)-1].Role)
			}
		}
	})
}
