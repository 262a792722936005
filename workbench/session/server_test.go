package session

import (
	"context"
	"encoding/json"
	"math"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// watched is what the fake's training was.
var watched = []Event{
	{Record: record(Say, 0, nil)},
	{Record: record("step", 1, map[string]float64{"loss": math.NaN(), "lr": 0.5})},
	{Record: record(End, 1, nil), Training: &Training{Run: "first", State: Failed, Problem: "the loss is not finite"}},
}

func TestEveryVerbGoesThroughTheSocket(t *testing.T) {
	w, runs, ctx := &fake{}, runsFolder(t), soon(t)
	serve(t, w, runs)
	c := attached(t, runs)

	status, err := c.Status(ctx)
	require.NoError(t, err)
	require.Equal(t, "a fake", status.Device)
	require.Equal(t, os.Getpid(), status.Process.PID)
	require.Equal(t, DefaultIdle.Seconds(), status.Process.IdleSeconds)

	request := TrainRequest{Config: json.RawMessage(`{"run":"first"}`), Command: []string{"workbench", "train"}, Wait: true}
	training, err := c.Train(ctx, request)
	require.NoError(t, err)
	require.Equal(t, Training{Run: "first", State: Running}, training)
	training, err = c.StopTraining(ctx, "first")
	require.NoError(t, err)
	require.Equal(t, Stopped, training.State)

	events, err := all(t, c.Watch(ctx, "first"))
	require.NoError(t, err)
	require.Len(t, events, 3)
	require.True(t, math.IsNaN(events[1].Record.Values["loss"]), "JSON has no NaN, the stream has")
	require.Equal(t, watched[2], events[2])

	sample := SampleRequest{ModelRequest: ModelRequest{Run: "first", Backend: "go"}, Prompt: "The <cat>", Tokens: 3, Sampling: Sampling{Temperature: 0.5, Seed: math.MaxUint64}}
	pieces, err := all(t, c.Sample(ctx, sample))
	require.EqualError(t, err, "the prompt is too long", "an error after the first piece")
	require.Equal(t, []Piece{{Text: "The <cat>"}}, pieces)
	chat := ChatRequest{ModelRequest: ModelRequest{Run: "first"}, Conversation: "x", Message: "hello you"}
	pieces, err = all(t, c.Chat(ctx, chat))
	require.NoError(t, err)
	require.Equal(t, []Piece{{Text: "hello"}, {Text: "you"}, {Usage: &Usage{Finish: "stop", SavedSeconds: 1.5}}}, pieces)

	generate := GenerateRequest{Prompt: []int32{3, 4}, Tokens: 1, From: "r", Keep: true}
	tokens, err := all(t, c.Generate(ctx, generate))
	require.NoError(t, err)
	require.Equal(t, []Token{{ID: 3}, {ID: -1, Finish: "length", State: &State{ID: "s", Tokens: []int32{3, 4}, Bytes: 8}}}, tokens)
	require.NoError(t, c.Release(ctx, "s"))

	model, err := c.Load(ctx, ModelRequest{Run: "first"})
	require.NoError(t, err)
	require.Equal(t, Model{Run: "first", Step: 7}, model)
	require.EqualError(t, c.Unload(ctx, "second"), "unload second: it is not loaded")
	require.Equal(t, []any{request, "first", "first", sample, chat, generate, "s", ModelRequest{Run: "first"}, "second"}, w.asked)
}

func TestAPanicInACallIsThatCallsError(t *testing.T) {
	runs := runsFolder(t)
	s := serve(t, &fake{}, runs)
	c := attached(t, runs)
	pieces, err := all(t, c.Chat(soon(t), ChatRequest{Message: "oh panic"}))
	require.ErrorContains(t, err, "chat: the session caught a panic: a fake panic; its log ")
	require.Len(t, pieces, 1)
	require.Contains(t, s.log.String(), "helpers_test.go", "the stack")
	_, err = all(t, c.Chat(soon(t), ChatRequest{Message: "again"}))
	require.NoError(t, err)
}

func TestTwoClientsAreAnsweredAtOnce(t *testing.T) {
	w, runs := &fake{meet: &sync.WaitGroup{}}, runsFolder(t)
	w.meet.Add(2) // each answer waits until the other has begun
	serve(t, w, runs)
	var group sync.WaitGroup
	for range 2 {
		c := attached(t, runs)
		group.Go(func() {
			pieces, err := all(t, c.Chat(soon(t), ChatRequest{Message: "hello"}))
			if err != nil || len(pieces) != 2 {
				t.Errorf("got %v and %v", pieces, err)
			}
		})
	}
	group.Wait()
}

func TestAClientThatLeavesCutsItsAnswerShort(t *testing.T) {
	for name, leave := range map[string]func(t *testing.T, c *Client){
		"by leaving the loop": func(t *testing.T, c *Client) {
			for range c.Chat(soon(t), ChatRequest{Message: "wait"}) {
				break
			}
		},
		"by the end of its context": func(t *testing.T, c *Client) {
			ctx, cancel := context.WithCancel(soon(t))
			for _, err := range c.Chat(ctx, ChatRequest{Message: "wait"}) {
				if err != nil {
					require.ErrorIs(t, err, context.Canceled)
				}
				cancel()
			}
			cancel()
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, runs := &fake{left: make(chan struct{})}, runsFolder(t)
			serve(t, w, runs)
			leave(t, attached(t, runs))
			select {
			case <-w.left:
			case <-soon(t).Done():
				t.Fatal("the answer goes on")
			}
		})
	}
}

func TestOnlyTheUserMayReachASession(t *testing.T) {
	runs := runsFolder(t)
	require.NoError(t, os.MkdirAll(filepath.Join(runs, ".session"), 0o777), "a folder that was there")
	require.NoError(t, os.Chmod(filepath.Join(runs, ".session"), 0o777))
	serve(t, &fake{}, runs)
	for name, mode := range map[string]os.FileMode{"": 0o700, socketFile: 0o600, stateFile: 0o600, serveLock: 0o600} {
		info, err := os.Stat(filepath.Join(runs, ".session", name))
		require.NoError(t, err)
		require.Equal(t, mode, info.Mode().Perm(), name)
	}
}

func TestASessionStopsWhenThereIsNoWork(t *testing.T) {
	w, runs := &fake{}, runsFolder(t)
	err := Serve(soon(t), w, ServeOptions{Runs: runs, Idle: 10 * time.Millisecond})
	require.NoError(t, err)
	require.True(t, w.isClosed())
	p, err := placeIn(runs)
	require.NoError(t, err)
	last, err := p.readState()
	require.NoError(t, err)
	require.Equal(t, "it was idle for 10ms", last.Reason)
	require.NoFileExists(t, p.file(socketFile))
	require.Empty(t, p.death(), "it ended by itself")
	_, err = Dial(soon(t), runs, "")
	require.EqualError(t, err, "no session is running in "+runs)
}

func TestWorkPutsOffTheIdleStop(t *testing.T) {
	long := -2 * time.Minute
	for name, c := range map[string]struct {
		training string
		active   int
		idle     time.Duration
		stops    bool
	}{
		"nothing to do":              {idle: time.Minute, stops: true},
		"an answer is running":       {idle: time.Minute, active: 1},
		"a training is running":      {idle: time.Minute, training: "first"},
		"not yet":                    {idle: time.Hour},
		"a session that never stops": {idle: -1},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := placeIn(runsFolder(t))
			require.NoError(t, err)
			require.NoError(t, p.make())
			s := &server{workbench: &fake{training: c.training}, options: ServeOptions{Idle: c.idle}, place: p, active: c.active, lastWork: time.Now().Add(long)}
			require.Equal(t, c.stops, s.idle(soon(t)))
		})
	}
}

func TestASessionThatStopsTakesNoWork(t *testing.T) {
	w, runs := &fake{}, runsFolder(t)
	s := &server{workbench: w, stopping: true}
	p, err := placeIn(runs)
	require.NoError(t, err)
	require.NoError(t, p.make())
	listener, err := net.Listen("unix", p.file(socketFile))
	require.NoError(t, err)
	web := &http.Server{Handler: s.handler()}
	go web.Serve(listener)
	defer web.Close()
	_, err = newClient(p).Load(soon(t), ModelRequest{})
	require.EqualError(t, err, "the session is stopping; call again for a new one")
	_, err = greet(soon(t), p, http.MethodPost, "")
	require.ErrorIs(t, err, ErrNone, "so that Ensure starts another one")
}

func TestShutdownReturnsWhenTheFolderIsFree(t *testing.T) {
	w, runs := &fake{training: "first"}, runsFolder(t)
	s := serve(t, w, runs)
	require.NoError(t, attached(t, runs).Shutdown(soon(t)))
	require.True(t, w.isClosed())
	s.end(t)
	p, err := placeIn(runs)
	require.NoError(t, err)
	require.False(t, p.served())
	last, err := p.readState()
	require.NoError(t, err)
	require.Equal(t, "a client asked for it", last.Reason)
}

func TestOneProcessServesAFolder(t *testing.T) {
	runs := runsFolder(t)
	serve(t, &fake{}, runs)
	second := &fake{}
	err := Serve(soon(t), second, ServeOptions{Runs: runs})
	require.ErrorIs(t, err, ErrServed)
	require.False(t, second.isClosed())
	attached(t, runs)
}

func TestAPathTooLongForASocketIsServed(t *testing.T) {
	for name, chdir := range map[string]bool{"near the working directory": true, "far from it": false} {
		t.Run(name, func(t *testing.T) {
			deep := filepath.Join(t.TempDir(), strings.Repeat("deep/", 30))
			require.NoError(t, os.MkdirAll(deep, 0o700))
			if chdir {
				t.Chdir(deep)
			}
			runs := filepath.Join(deep, "runs")
			require.Greater(t, len(runs), maxSocketPath)
			serve(t, &fake{}, runs)
			pieces, err := all(t, attached(t, runs).Chat(soon(t), ChatRequest{Message: "hello"}))
			require.NoError(t, err)
			require.Len(t, pieces, 2)
		})
	}
}

func TestAStaleSocketIsReplaced(t *testing.T) {
	runs := runsFolder(t)
	p, err := placeIn(runs)
	require.NoError(t, err)
	require.NoError(t, p.make())
	listener, err := net.Listen("unix", p.file(socketFile))
	require.NoError(t, err)
	listener.(*net.UnixListener).SetUnlinkOnClose(false)
	listener.Close()
	require.FileExists(t, p.file(socketFile))
	_, err = Dial(soon(t), runs, "")
	require.ErrorIs(t, err, ErrNone)
	serve(t, &fake{}, runs)
	attached(t, runs)
}
