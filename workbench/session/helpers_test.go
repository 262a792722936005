package session

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tandem/workbench/runlog"
)

// serveVariable makes the test's program be a session of the folder that it names, or do what else it says.
const serveVariable = "TANDEM_SESSION_TEST"

func TestMain(m *testing.M) {
	mode, runs, serving := strings.Cut(os.Getenv(serveVariable), ":")
	if !serving {
		os.Exit(m.Run())
	}
	time.AfterFunc(time.Minute, func() { os.Exit(3) }) // whatever the test does, this process ends
	switch mode {
	case "fail":
		fmt.Fprintln(os.Stderr, "there is no device here")
		os.Exit(1)
	case "hang":
		select {}
	case "leave":
		os.Exit(0)
	}
	w := &fake{training: "first"}
	err := Serve(context.Background(), w, ServeOptions{Runs: runs, Build: "test", Log: func(line string) { fmt.Fprintln(os.Stderr, line) }})
	if err != nil && !errors.Is(err, ErrServed) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// fake is a workbench that remembers what it was asked.
type fake struct {
	training string // the run that is being trained
	left     chan struct{}
	meet     *sync.WaitGroup // chats wait for one another

	mu     sync.Mutex
	asked  []any
	closed bool
}

func (f *fake) ask(request any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, request)
}

func (f *fake) Status(context.Context) (Status, error) {
	status := Status{Device: "a fake", Models: []Model{{Run: "first", Step: 7}}}
	if f.training != "" {
		status.Trainings = []Training{{Run: f.training, State: Running, Steps: 10}}
	}
	return status, nil
}

func (f *fake) Train(_ context.Context, r TrainRequest) (Training, error) {
	f.ask(r)
	if f.training != "" {
		return Training{}, fmt.Errorf("the session is training %s", f.training)
	}
	return Training{Run: "first", State: Running}, nil
}

func (f *fake) Watch(_ context.Context, run string) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		f.ask(run)
		for _, e := range watched {
			if !yield(e, nil) {
				return
			}
		}
	}
}

func (f *fake) StopTraining(_ context.Context, run string) (Training, error) {
	f.ask(run)
	return Training{Run: run, State: Stopped}, nil
}

func (f *fake) Sample(_ context.Context, r SampleRequest) iter.Seq2[Piece, error] {
	return func(yield func(Piece, error) bool) {
		f.ask(r)
		if yield(Piece{Text: r.Prompt}, nil) {
			yield(Piece{}, errors.New("the prompt is too long"))
		}
	}
}

// Chat answers with the words of the message. "panic" panics, "die" takes the process down, "wait" waits for the
// caller's end after one word.
func (f *fake) Chat(ctx context.Context, r ChatRequest) iter.Seq2[Piece, error] {
	return func(yield func(Piece, error) bool) {
		f.ask(r)
		if f.meet != nil {
			f.meet.Done()
			f.meet.Wait()
		}
		for _, word := range strings.Fields(r.Message) {
			switch word {
			case "panic":
				panic("a fake panic")
			case "die":
				go panic("a fatal fake")
				select {}
			case "wait":
				yield(Piece{Text: word}, nil)
				<-ctx.Done()
				if f.left != nil {
					close(f.left)
				}
				return
			}
			if !yield(Piece{Text: word}, nil) {
				return
			}
		}
		yield(Piece{Usage: &Usage{Finish: "stop", SavedSeconds: 1.5}}, nil)
	}
}

func (f *fake) Generate(_ context.Context, r GenerateRequest) iter.Seq2[Token, error] {
	return func(yield func(Token, error) bool) {
		f.ask(r)
		if yield(Token{ID: r.Prompt[0]}, nil) {
			yield(Token{ID: -1, Finish: "length", State: &State{ID: "s", Tokens: r.Prompt, Bytes: 8}}, nil)
		}
	}
}

func (f *fake) Release(_ context.Context, state string) error {
	f.ask(state)
	return nil
}

func (f *fake) Load(_ context.Context, r ModelRequest) (Model, error) {
	f.ask(r)
	return Model{Run: r.Run, Step: 7}, nil
}

func (f *fake) Unload(_ context.Context, run string) error {
	f.ask(run)
	return fmt.Errorf("unload %s: it is not loaded", run)
}

func (f *fake) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	return nil
}

func (f *fake) isClosed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.closed
}

// soon is a context for a test that should end.
func soon(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// logged collects what a server logs.
type logged struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logged) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.WriteString(line + "\n")
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// serving is a server in this process.
type serving struct {
	stop context.CancelFunc
	done chan error
	log  *logged
}

// serve serves a workbench in a folder until the test ends, and returns when it answers.
func serve(t testing.TB, w Workbench, runs string) *serving {
	t.Helper()
	ctx, cancel := context.WithCancel(soon(t))
	s := &serving{stop: cancel, done: make(chan error, 1), log: &logged{}}
	go func() { s.done <- Serve(ctx, w, ServeOptions{Runs: runs, Build: "test", Log: s.log.add}) }()
	t.Cleanup(func() { s.end(t) })
	require.Eventually(t, func() bool {
		c, err := Dial(ctx, runs, "")
		if err == nil {
			c.Close()
		}
		return err == nil
	}, 10*time.Second, time.Millisecond, "%v", s.log)
	return s
}

func (s *serving) end(t testing.TB) {
	s.stop()
	err, more := <-s.done
	if more {
		require.NoError(t, err)
		close(s.done)
	}
}

func attached(t testing.TB, runs string) *Client {
	t.Helper()
	c, err := Dial(soon(t), runs, "test")
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

func command(words ...string) func(context.Context) ([]string, error) {
	return func(context.Context) ([]string, error) { return words, nil }
}

// process starts a session in a process of its own, which ends with the test.
func process(t testing.TB, runs string) *Client {
	t.Helper()
	t.Setenv(serveVariable, "serve:"+runs)
	c, err := Ensure(soon(t), runs, Start{Command: command(os.Args[0]), Build: "test"})
	require.NoError(t, err)
	t.Cleanup(func() {
		if process, err := os.FindProcess(c.Process().PID); err == nil {
			process.Kill()
		}
		place, _ := placeIn(runs)
		require.NoError(t, place.waitUnserved(soon(t)))
		c.Close()
	})
	return c
}

func all[T any](t testing.TB, stream iter.Seq2[T, error]) (items []T, failed error) {
	t.Helper()
	for item, err := range stream {
		if err != nil {
			return items, err
		}
		items = append(items, item)
	}
	return items, nil
}

func runsFolder(t testing.TB) string { return filepath.Join(t.TempDir(), "runs") }

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func record(kind string, step int, values map[string]float64) runlog.Record {
	return runlog.Record{Kind: kind, Step: step, Time: noon, Values: values}
}
