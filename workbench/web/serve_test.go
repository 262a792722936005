package web_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tandem/workbench/web"
)

// begin sends a streaming question and returns once the first chunk is there.
func begin(t testing.TB, ctx context.Context, url string) (*http.Response, *bufio.Reader) {
	t.Helper()
	request, err := http.NewRequestWithContext(ctx, "POST", url+chatPath, strings.NewReader(question("hello", `,"stream":true`)))
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	reader := bufio.NewReader(response.Body)
	line, err := reader.ReadString('\n')
	require.NoError(t, err)
	require.Contains(t, line, `"role":"assistant"`)
	return response, reader
}

func eventually(t testing.TB, condition func() bool, what string) {
	t.Helper()
	require.Eventually(t, condition, patience, 2*time.Millisecond, what)
}

func TestAClientThatLeavesFreesItsRow(t *testing.T) {
	for _, c := range []struct{ name, more string }{{"while it streams", `,"stream":true`}, {"while it waits for a whole answer", ""}} {
		t.Run(c.name, func(t *testing.T) {
			engine := &fakeEngine{step: make(chan struct{})}
			server := listening(t, engine, nil)
			ctx, leave := context.WithCancel(context.Background())
			request, err := http.NewRequestWithContext(ctx, "POST", server.URL+chatPath, strings.NewReader(question("hello", c.more)))
			require.NoError(t, err)
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				if response, err := http.DefaultClient.Do(request); err == nil {
					response.Body.Close()
				}
			}()
			eventually(t, func() bool { return engine.rows.Load() == 1 }, "the row begins")
			leave()
			<-ended
			eventually(t, func() bool { return engine.rows.Load() == 0 }, "the row is free")
		})
	}
}

func TestAClientThatDoesNotReadIsCutOff(t *testing.T) {
	engine := &fakeEngine{answer: func(string) []int32 { return ids(strings.Repeat("x", 1<<20)) }}
	server := listening(t, engine, func(o *web.Options) { o.Limits.Stall, o.Limits.MaxTokens = 50*time.Millisecond, 1<<21 })
	connection, err := net.Dial("tcp", server.Listener.Addr().String())
	require.NoError(t, err)
	defer connection.Close()
	body := question("hello", `,"stream":true,"max_tokens":2000000`)
	_, err = io.WriteString(connection, "POST "+chatPath+" HTTP/1.1\r\nHost: localhost\r\nContent-Length: "+strconv.Itoa(len(body))+"\r\n\r\n"+body)
	require.NoError(t, err)
	eventually(t, func() bool { return engine.last.Load() != nil }, "the row begins")
	eventually(t, func() bool { return engine.rows.Load() == 0 }, "the row is free")
}

func TestARequestThatDoesNotComeWholeIsToldSoAndCutOff(t *testing.T) {
	url, _, _ := serving(t, newServer(t, &fakeEngine{}, func(o *web.Options) { o.Limits.Stall = 300 * time.Millisecond }))
	connection, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	require.NoError(t, err)
	defer connection.Close()
	require.NoError(t, connection.SetDeadline(time.Now().Add(patience)))
	_, err = io.WriteString(connection, "POST "+chatPath+" HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{\"model\":")
	require.NoError(t, err)
	answer, err := io.ReadAll(connection)
	require.NoError(t, err, "the connection is closed by the server")
	require.Contains(t, string(answer), "408 Request Timeout")
	require.Contains(t, string(answer), "the request body did not come whole in 300ms")
}

func TestAnAnswerThatTakesTooLongEndsWithATimeout(t *testing.T) {
	engine := &fakeEngine{step: make(chan struct{})}
	server := listening(t, engine, func(o *web.Options) { o.Limits.Timeout = 30 * time.Millisecond })
	response, body := send(t, "POST", server.URL+chatPath, question("hello", ""))
	require.Equal(t, http.StatusGatewayTimeout, response.StatusCode)
	require.Equal(t, "timeout", problemOf(t, body).Code)
	require.Zero(t, engine.rows.Load())
}

func TestMoreRequestsThanPlacesAreToldToTryAgain(t *testing.T) {
	engine := &fakeEngine{step: make(chan struct{})}
	server := listening(t, engine, func(o *web.Options) { o.Limits.Requests = 2 })
	statuses := make(chan int, 2)
	for range 2 {
		go func() {
			response, err := http.Post(server.URL+chatPath, "application/json", strings.NewReader(question("hello", "")))
			if err != nil {
				statuses <- 0
				return
			}
			response.Body.Close()
			statuses <- response.StatusCode
		}()
	}
	eventually(t, func() bool { return engine.rows.Load() == 2 }, "both rows begin")
	response, body := send(t, "POST", server.URL+chatPath, question("hello", ""))
	require.Equal(t, http.StatusTooManyRequests, response.StatusCode)
	require.Equal(t, "1", response.Header.Get("Retry-After"))
	require.Equal(t, "all 2 places are taken; try again in a moment", problemOf(t, body).Message)
	_, metrics := send(t, "GET", server.URL+"/metrics", "")
	require.Contains(t, metrics, "tandem_requests_running 2\n")
	close(engine.step)
	require.Equal(t, []int{200, 200}, []int{<-statuses, <-statuses})
	response, _ = send(t, "POST", server.URL+chatPath, question("hello", ""))
	require.Equal(t, http.StatusOK, response.StatusCode, "the places are free again")
}

// serving runs Serve on a free port until stop is called, which waits for it to return.
func serving(t testing.TB, server *web.Server) (url string, stop context.CancelFunc, ended chan error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	ended = make(chan error, 1)
	go func() { ended <- server.Serve(ctx, listener) }()
	t.Cleanup(stop)
	return "http://" + listener.Addr().String(), stop, ended
}

func TestShuttingDownLetsAnswersEnd(t *testing.T) {
	engine := &fakeEngine{step: make(chan struct{}, 1)}
	url, stop, ended := serving(t, newServer(t, engine, nil))
	engine.step <- struct{}{}
	response, reader := begin(t, context.Background(), url)
	defer response.Body.Close()
	stop()
	eventually(t, func() bool {
		_, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		return err != nil
	}, "no new connection is taken")
	close(engine.step)
	rest, err := io.ReadAll(reader)
	require.NoError(t, err)
	require.Contains(t, string(rest), "[DONE]")
	require.NoError(t, <-ended)
}

func TestShuttingDownCancelsWhatTakesLongerThanTheGrace(t *testing.T) {
	engine := &fakeEngine{step: make(chan struct{}, 1)}
	url, stop, ended := serving(t, newServer(t, engine, func(o *web.Options) { o.Limits.Grace = 30 * time.Millisecond }))
	engine.step <- struct{}{}
	response, reader := begin(t, context.Background(), url)
	defer response.Body.Close()
	stop()
	require.NoError(t, <-ended)
	rest, err := io.ReadAll(reader)
	require.NoError(t, err)
	require.Contains(t, string(rest), "the server is stopping")
	require.Zero(t, engine.rows.Load())
}

func TestToolsUsedAreGivenBesideTheTextAndCanBeSentBack(t *testing.T) {
	engine := &fakeEngine{answer: func(question string) []int32 {
		if question == "thanks" {
			return ids("welcome")
		}
		return ids("It is ", special("python_start"), "2+3", special("python_end"), special("output_start"), "5", special("output_end"), " then.")
	}}
	server := listening(t, engine, nil)
	_, body := send(t, "POST", server.URL+chatPath, question("2+3?", ""))
	var answer struct {
		Choices []struct {
			Message struct {
				Content string
				Tandem  struct{ Parts json.RawMessage }
			}
		}
		Usage struct {
			Details struct {
				Cached int `json:"cached_tokens"`
			} `json:"prompt_tokens_details"`
		}
	}
	require.NoError(t, json.Unmarshal([]byte(body), &answer))
	message := answer.Choices[0].Message
	require.Equal(t, "It is  then.", message.Content)
	require.JSONEq(t, `[{"type":"text","text":"It is "},{"type":"python","text":"2+3"},{"type":"python_output","text":"5"},{"type":"text","text":" then."}]`, string(message.Tandem.Parts))

	back := `{"model":"tiny","messages":[{"role":"user","content":"2+3?"},{"role":"assistant","content":` + string(message.Tandem.Parts) + `},{"role":"user","content":"thanks"}]}`
	_, body = send(t, "POST", server.URL+chatPath, back)
	require.NoError(t, json.Unmarshal([]byte(body), &answer))
	require.Equal(t, "welcome", answer.Choices[0].Message.Content)
	require.Positive(t, answer.Usage.Details.Cached)

	// Clients that append the message of an answer to their list send it as it came.
	var whole struct {
		Choices []struct{ Message json.RawMessage }
	}
	_, body = send(t, "POST", server.URL+chatPath, question("2+3?", ""))
	require.NoError(t, json.Unmarshal([]byte(body), &whole))
	asItCame := `{"model":"tiny","messages":[{"role":"user","content":"2+3?"},` + string(whole.Choices[0].Message) + `,{"role":"user","content":"thanks"}]}`
	response, body := send(t, "POST", server.URL+chatPath, asItCame)
	require.Equal(t, http.StatusOK, response.StatusCode, body)
	require.NoError(t, json.Unmarshal([]byte(body), &answer))
	require.Greater(t, answer.Usage.Details.Cached, len("2+3?It is 2+35 then."), "the tool's part is in the conversation")

	_, body = send(t, "POST", server.URL+chatPath, question("2+3?", `,"stream":true`))
	require.Contains(t, body, `{"delta":{"tandem":{"part":1,"type":"python","text":"2"}}`[1:])
	require.Contains(t, body, `"tandem":{"part":2,"type":"python_output","text":"5"}`)
}
