package web_test

import (
	"context"
	"encoding/json"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tandem/workbench/chat"
	"tandem/workbench/generate"
	"tandem/workbench/tokenizer"
	"tandem/workbench/web"
)

// bytesOnly is a tokenizer without merges: ids 0 to 255 are bytes, then come the nine special tokens.
var bytesOnly = func() *tokenizer.Tokenizer {
	tok, err := tokenizer.Train(func(func(string, error) bool) {}, 256+9)
	if err != nil {
		panic(err)
	}
	return tok
}()

// patience is how long a test waits for what takes milliseconds on an idle machine.
const patience = 30 * time.Second

func special(name string) int32 {
	id, _ := bytesOnly.Special("<|" + name + "|>")
	return id
}

// ids encodes texts, and passes special tokens through.
func ids(parts ...any) (all []int32) {
	for _, part := range parts {
		switch part := part.(type) {
		case string:
			all = append(all, bytesOnly.Encode(part)...)
		case int32:
			all = append(all, part)
		}
	}
	return all
}

// fakeEngine answers each question with a script, and counts what is not given back. It is safe for concurrent use.
type fakeEngine struct {
	// answer gives the tokens after a question; nil repeats it.
	answer func(question string) []int32
	// step holds up every token, if it is set, until it gives a sign or the request ends.
	step chan struct{}
	// pause is slept before every token.
	pause time.Duration
	// refuse fails Start, broken fails after the first token; panics panics there.
	refuse, broken error
	panics         bool

	rows, states atomic.Int64
	last         atomic.Pointer[generate.Request]
}

const fakeCapacity = 4096

func (e *fakeEngine) Capacity() int   { return fakeCapacity }
func (e *fakeEngine) RowBytes() int64 { return 100 }

func (e *fakeEngine) Start(ctx context.Context, request generate.Request, from chat.State) (chat.Row, error) {
	if e.refuse != nil {
		return nil, e.refuse
	}
	e.rows.Add(1)
	e.last.Store(&request)
	return &fakeRow{engine: e, ctx: ctx, request: request, history: slices.Clone(request.Prompt)}, nil
}

type fakeRow struct {
	engine  *fakeEngine
	ctx     context.Context
	request generate.Request
	history []int32
	ended   bool
}

// script is what follows the newest <|assistant_start|>, or a text's beginning.
func (r *fakeRow) script() []int32 {
	start := special("assistant_start")
	question := bytesOnly.Decode(r.request.Prompt[1:])
	at := 1
	if i := len(r.history) - 1 - slices.Index(reversed(r.history), start); slices.Contains(r.history, start) {
		at = i + 1
		users := strings.Split(bytesOnly.Decode(r.history[:i]), "<|user_start|>")
		question = strings.TrimSuffix(users[len(users)-1], "<|user_end|>")
	} else {
		at = len(r.request.Prompt)
	}
	answer := ids(question)
	if r.engine.answer != nil {
		answer = r.engine.answer(question)
	}
	return append(answer, special("assistant_end"))[len(r.history)-at:]
}

func reversed(list []int32) []int32 {
	list = slices.Clone(list)
	slices.Reverse(list)
	return list
}

func (r *fakeRow) Tokens() iter.Seq2[generate.Token, error] {
	return func(yield func(generate.Token, error) bool) {
		defer r.end()
		for made, id := range r.script() {
			if err := r.wait(); err != nil {
				yield(generate.Token{}, err)
				return
			}
			if made == 1 && r.engine.panics {
				panic("the model is out of order")
			}
			if made == 1 && r.engine.broken != nil {
				yield(generate.Token{}, r.engine.broken)
				return
			}
			if made == r.request.MaxTokens {
				yield(generate.Token{ID: -1, Finish: generate.FinishLength}, nil)
				return
			}
			if slices.Contains(r.request.Stop, id) {
				yield(generate.Token{ID: id, Finish: generate.FinishStop}, nil)
				return
			}
			r.history = append(r.history, id)
			if !yield(generate.Token{ID: id, LogProb: -float32(id) / 256}, nil) {
				return
			}
		}
	}
}

// wait holds a token up as the engine's fields say.
func (r *fakeRow) wait() error {
	if r.engine.step != nil {
		select {
		case <-r.engine.step:
		case <-r.ctx.Done():
		}
	}
	if r.engine.pause > 0 {
		time.Sleep(r.engine.pause)
	}
	return r.ctx.Err()
}

func (r *fakeRow) end() {
	if !r.ended {
		r.ended = true
		r.engine.rows.Add(-1)
	}
}

func (r *fakeRow) State() chat.State {
	r.end()
	r.engine.states.Add(1)
	return &fakeState{engine: r.engine, tokens: slices.Clone(r.history)}
}

type fakeState struct {
	engine   *fakeEngine
	tokens   []int32
	released atomic.Bool
}

func (s *fakeState) Tokens() []int32 { return s.tokens }
func (s *fakeState) Bytes() int64    { return 100 }
func (s *fakeState) Release() {
	if !s.released.Swap(true) {
		s.engine.states.Add(-1)
	}
}

// newServer is a server over a fake engine, not yet listening. At the test's end no row and no state is left.
func newServer(t testing.TB, engine *fakeEngine, change func(*web.Options)) *web.Server {
	t.Helper()
	model, err := chat.NewModel(engine, bytesOnly)
	require.NoError(t, err)
	o := web.Options{
		Model: model,
		Info: web.Info{
			Name: "tiny", Created: time.Unix(1, 0), Pattern: "TMMTMM", Parameters: 1234567, Context: fakeCapacity,
			Kinds:           []web.Kind{{Letter: "T", Name: "transformer"}, {Letter: "M", Name: "mamba"}},
			StateFixedBytes: 81920, StateTokenBytes: 512, Device: "go",
		},
		Limits: web.Limits{CacheBytes: 400},
		Log:    func(line string) { t.Log(line) },
	}
	if change != nil {
		change(&o)
	}
	server, err := web.New(o)
	require.NoError(t, err)
	t.Cleanup(func() {
		server.Close()
		require.Eventually(t, func() bool { return engine.rows.Load() == 0 && engine.states.Load() == 0 }, patience, 5*time.Millisecond,
			"rows or states that nobody released")
	})
	return server
}

// listening is newServer behind a listener of its own.
func listening(t testing.TB, engine *fakeEngine, change func(*web.Options)) *httptest.Server {
	t.Helper()
	listener := httptest.NewServer(newServer(t, engine, change).Handler())
	t.Cleanup(func() { closeNow(listener) })
	return listener
}

// closeNow ends what a failed test left running, for which Close alone would wait for ever.
func closeNow(listener *httptest.Server) {
	listener.CloseClientConnections()
	listener.Close()
}

// send makes a request and gives the status and body of the answer.
func send(t testing.TB, method, url, body string, header ...string) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequest(method, url, strings.NewReader(body))
	require.NoError(t, err)
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			request.Host = header[i+1]
		}
		request.Header.Set(header[i], header[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response, string(content)
}

// problem is the error of an answer in OpenAI's shape, which it must have in full.
type problem struct{ Message, Type, Param, Code string }

func problemOf(t testing.TB, body string) problem {
	t.Helper()
	var shape map[string]map[string]*string
	require.NoError(t, json.Unmarshal([]byte(body), &shape), body)
	require.Len(t, shape["error"], 4, body)
	text := func(key string) string {
		value, ok := shape["error"][key]
		require.True(t, ok, "%s is missing in %s", key, body)
		if value == nil {
			return ""
		}
		return *value
	}
	return problem{text("message"), text("type"), text("param"), text("code")}
}

// question is the body of a chat completion of one message.
func question(text string, more string) string {
	encoded, _ := json.Marshal(text)
	return `{"model":"tiny","messages":[{"role":"user","content":` + string(encoded) + `}]` + more + `}`
}
