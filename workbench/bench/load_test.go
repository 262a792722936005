package bench

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// otherServer is one that is not ours: it answers, refuses, and breaks off.
func otherServer(t *testing.T) *httptest.Server {
	var refused atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch {
		case r.URL.Path == "/v1/models":
			fmt.Fprint(w, `{"data":[{"id":"other"}]}`)
		case strings.Contains(string(body), `"content":"1 0`) && refused.Add(1) == 1:
			w.WriteHeader(http.StatusTooManyRequests)
		case strings.Contains(string(body), `"content":"2 0`):
			fmt.Fprint(w, "data: {\"choices\":[{\"delta\":{\"content\":\"so\"}}]}\n\n") // and no [DONE]
		default:
			fmt.Fprint(w, ": a comment\n\ndata: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n"+
				"data: {\"choices\":[{\"delta\":{\"content\":\"an \"}}]}\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"answer\"}}]}\n\n"+
				"data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":4}}\n\ndata: [DONE]\n\n")
		}
	}))
	t.Cleanup(server.Close)
	return server
}

func TestALoadCountsAnswersAndErrorsByStatus(t *testing.T) {
	server := otherServer(t)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	b, err := Load(ctx, LoadOptions{URL: server.URL + "/", Clients: 4, Requests: 2, Words: 5, Tokens: 8}, nil, func(string) {})
	require.NoError(t, err)
	require.Equal(t, "other", b.Model)
	require.Equal(t, map[string]int{"429": 1, "none": 1}, b.Errors)
	require.Equal(t, 6, b.Answers)
	require.Equal(t, 6*9, b.PromptTokens)
	require.Equal(t, 6*4, b.AnswerTokens)
	require.Equal(t, 6, b.SameAsAlone)
	require.InDelta(t, 24/b.Seconds, b.TokensPerSecond, 1e-6)
	require.Positive(t, b.First.P50)
	require.LessOrEqual(t, b.First.P50, b.First.P99)
	require.Zero(t, b.EngineTokensPerSecond)
}

func TestALoadNeedsAnOpenAIServer(t *testing.T) {
	load := LoadOptions{Clients: 1, Requests: 1, Words: 1, Tokens: 2}
	closed := httptest.NewServer(http.NotFoundHandler())
	load.URL = closed.URL
	_, err := Load(context.Background(), load, nil, func(string) {})
	require.ErrorContains(t, err, "for its model: status 404 Not Found; give the address of an OpenAI API, and its --token")
	closed.Close()
	_, err = Load(context.Background(), load, nil, func(string) {})
	require.ErrorContains(t, err, "start one with: workbench serve")
	load.Words = 0
	_, err = Load(context.Background(), load, nil, func(string) {})
	require.EqualError(t, err, "bench serve: clients 1, requests 1, words 0, tokens 2: all must be positive, and tokens at least 2")
}

func TestQuestionsOfALoadAreAllDifferent(t *testing.T) {
	o := LoadOptions{Words: 6, Requests: 3}
	seen := map[string]bool{}
	for client := range 50 {
		for number := range 4 {
			text := question(o, client, number)
			require.Len(t, strings.Fields(text), 6)
			seen[text] = true
		}
	}
	require.Len(t, seen, 200)
}

func TestPercentilesAreByTheNearestRank(t *testing.T) {
	values := make([]float64, 200)
	for i := range values {
		values[i] = float64(200 - i)
	}
	require.Equal(t, Percentiles{100, 190, 198}, percentiles(values))
	require.Equal(t, Percentiles{7, 7, 7}, percentiles([]float64{7}))
	require.Zero(t, percentiles(nil))
}
