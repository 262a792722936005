package web_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/stretchr/testify/require"

	"tandem/models"
	"tandem/tests/testkit"
	"tandem/workbench/chat"
	"tandem/workbench/generate"
	"tandem/workbench/web"
)

// realModel opens engines over one tiny hybrid with random weights. It computes in float32, so that a comparison of
// texts is one of logic and not of rounding.
func realModel(t testing.TB) func(generate.Options) (*generate.Engine, *chat.Model) {
	t.Helper()
	device := testkit.Device(t)
	device.Compute = dtypes.Float32
	model, err := models.New(models.Config{Pattern: "TM", Width: 16, Vocab: bytesOnly.VocabSize(), Context: 96})
	require.NoError(t, err)
	random := rand.New(rand.NewPCG(1, 2))
	var weights []*tensors.Tensor
	for i, values := range model.Init(1) {
		weight := model.Weights()[i]
		if weight.Init.Kind == "zero" {
			for j := range values {
				values[j] = float32(random.NormFloat64() / math.Sqrt(float64(weight.Shape[0])) * 2)
			}
		}
		weights = append(weights, tensors.FromFlatDataAndDimensions(values, weight.Shape...))
	}
	return func(o generate.Options) (*generate.Engine, *chat.Model) {
		engine, err := generate.New(device, model, weights, o)
		require.NoError(t, err)
		t.Cleanup(engine.Close)
		opened, err := chat.NewModel(chat.Over(engine), bytesOnly)
		require.NoError(t, err)
		return engine, opened
	}
}

// realServer serves a real engine, and at the test's end checks that nothing is left of what it did.
func realServer(t testing.TB, engine *generate.Engine, model *chat.Model, requests int) *httptest.Server {
	t.Helper()
	before := runtime.NumGoroutine()
	server, err := web.New(web.Options{
		Model: model, Info: web.Info{Name: "tiny", Context: model.Capacity()}, StateBytes: engine.StateBytes,
		Limits: web.Limits{Requests: requests, CacheBytes: 4 * engine.RowBytes()},
		Log:    func(line string) { t.Error(line) },
	})
	require.NoError(t, err)
	listener := httptest.NewServer(server.Handler())
	t.Cleanup(func() {
		defer closeNow(listener)
		// A client has its answer a moment before its request ends.
		eventually(t, func() bool {
			_, metrics := send(t, "GET", listener.URL+"/metrics", "")
			return strings.Contains(metrics, "tandem_requests_running 0\n")
		}, "requests are left running")
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
		closeNow(listener)
		server.Close()
		require.Eventually(t, func() bool { return engine.StateBytes() == 0 }, patience, 5*time.Millisecond, "states are left on the device")
		// Not require.Eventually, which counts itself.
		for wait := time.Now().Add(patience); runtime.NumGoroutine() > before && time.Now().Before(wait); {
			time.Sleep(10 * time.Millisecond)
		}
		stacks := make([]byte, 1<<20)
		require.LessOrEqual(t, runtime.NumGoroutine(), before, "goroutines are left:\n%s", stacks[:runtime.Stack(stacks, true)])
	})
	return listener
}

func clientsQuestion(i int) string { return fmt.Sprintf("client %d asks %x", i, i*i*2654435761) }

func TestTwoHundredClientsAtATimeEachGetTheirOwnAnswer(t *testing.T) {
	const clients, tokens = 200, 12
	open := realModel(t)
	_, alone := open(generate.Options{Rows: 1})
	want := make([]string, clients)
	for i := range want {
		answer, err := alone.Answer(context.Background(), chat.NewConversation("").With(chat.User, clientsQuestion(i)), nil, chat.Options{MaxTokens: tokens})
		require.NoError(t, err)
		for _, err := range answer.Deltas() {
			require.NoError(t, err)
		}
		want[i] = answer.Content().Text()
	}

	engine, model := open(generate.Options{Rows: 16, Queue: math.MaxInt32})
	server := realServer(t, engine, model, clients)
	api := openai.NewClient(option.WithBaseURL(server.URL+"/v1/"), option.WithAPIKey("any"), option.WithMaxRetries(0))
	got, problems := make([]string, clients), make([]error, clients)
	started := time.Now()
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() {
			params := asks(clientsQuestion(i))
			params.Temperature, params.MaxCompletionTokens = openai.Float(0), openai.Int(tokens)
			if i%2 == 0 {
				answer, err := api.Chat.Completions.New(context.Background(), params)
				if problems[i] = err; err == nil {
					got[i] = answer.Choices[0].Message.Content
				}
				return
			}
			stream := api.Chat.Completions.NewStreaming(context.Background(), params)
			for stream.Next() {
				if choices := stream.Current().Choices; len(choices) > 0 {
					got[i] += choices[0].Delta.Content
				}
			}
			problems[i] = stream.Err()
		})
	}
	all.Wait()
	t.Logf("%d clients in %s", clients, time.Since(started).Round(time.Millisecond))
	distinct := map[string]bool{}
	for i := range clients {
		require.NoError(t, problems[i], "client %d", i)
		require.Equal(t, want[i], got[i], "client %d", i)
		distinct[got[i]] = true
	}
	require.Greater(t, len(distinct), clients/2, "the answers are too alike to tell clients apart")
}

// SoakVariable names the environment variable that makes the soak longer, such as 1h.
const SoakVariable = "TANDEM_SOAK"

func TestRandomRequestsLeaveNothingBehind(t *testing.T) {
	length := 3 * time.Second
	if text := os.Getenv(SoakVariable); text != "" {
		var err error
		length, err = time.ParseDuration(text)
		require.NoError(t, err)
	}
	engine, model := realModel(t)(generate.Options{Rows: 4, Queue: math.MaxInt32})
	server := realServer(t, engine, model, 12)
	started := time.Now()
	var mu sync.Mutex
	counts, wrong := map[int]int{}, map[string]bool{}
	done := func() bool { // after the time, and once all kinds of answers were seen if they come at all
		mu.Lock()
		defer mu.Unlock()
		seen := counts[0] > 0 && counts[200] > 0 && counts[400] > 0 && counts[429] > 0
		return time.Since(started) > length && (seen || time.Since(started) > length+patience)
	}
	var all sync.WaitGroup
	for worker := range 16 {
		all.Go(func() {
			random := rand.New(rand.NewPCG(3, uint64(worker)))
			for !done() {
				status, body := randomRequest(random, server.URL)
				mu.Lock()
				counts[status]++
				if status >= 500 || (status >= 400 && !strings.HasPrefix(body, `{"error":{"message":"`)) {
					wrong[fmt.Sprint(status, " ", body)] = true
				}
				mu.Unlock()
				if status == http.StatusTooManyRequests {
					time.Sleep(5 * time.Millisecond)
				}
			}
		})
	}
	all.Wait()
	t.Logf("answers by status, 0 where the client left: %v", counts)
	require.Empty(t, wrong)
	require.Positive(t, counts[200])
	require.Positive(t, counts[400])
	require.Positive(t, counts[429])
	require.Positive(t, counts[0])
}

// randomRequest sends a request that may be good, damaged, or left by its client; then the status is 0.
func randomRequest(random *rand.Rand, url string) (status int, body string) {
	paths := []string{chatPath, chatPath, textPath, "/v1/models", "/nowhere"}
	path := paths[random.IntN(len(paths))]
	content := []byte(randomBody(random, path))
	if random.IntN(4) == 0 {
		for range 1 + random.IntN(3) {
			content[random.IntN(len(content))] = byte(random.IntN(256))
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if random.IntN(3) == 0 {
		time.AfterFunc(time.Duration(random.IntN(20))*time.Millisecond, cancel)
	}
	request, err := http.NewRequestWithContext(ctx, "POST", url+path, strings.NewReader(string(content)))
	if err != nil {
		return 0, ""
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, ""
	}
	defer response.Body.Close()
	read, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, ""
	}
	return response.StatusCode, string(read)
}

func randomBody(random *rand.Rand, path string) string {
	body := map[string]any{
		"model": "tiny", "max_tokens": 1 + random.IntN(40), "temperature": float64(random.IntN(3)) / 2, "stream": random.IntN(2) == 0,
	}
	if random.IntN(3) == 0 {
		body["top_k"], body["stop"] = 5, []string{"e", "\n"}
	}
	if random.IntN(4) == 0 {
		body["overflow"] = []string{"slide", "forget", "continue"}[random.IntN(3)]
	}
	words := func() string { return strings.Repeat("word ", 1+random.IntN(12)) }
	if path == textPath {
		body["prompt"] = words()
	} else {
		messages := []map[string]string{{"role": "user", "content": words()}}
		for range random.IntN(3) {
			messages = append(messages, map[string]string{"role": "assistant", "content": "yes"}, map[string]string{"role": "user", "content": words()})
		}
		body["messages"] = messages
	}
	encoded, _ := json.Marshal(body)
	return string(encoded)
}
