package session

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"runtime/debug"
	"strings"
	"time"
)

// handler routes requests to the workbench.
func (s *server) handler() http.Handler {
	w, mux := s.workbench, http.NewServeMux()
	greet := func(context.Context, struct{}) (hello, error) { return hello{Protocol, s.state.Process}, nil }
	mux.Handle("GET "+pathHello, answer(s, greet))
	mux.Handle("POST "+pathStatus, answer(s, s.status))
	work := func(path string, h http.Handler) { mux.Handle("POST "+path, s.working(h)) }
	work(pathHello, answer(s, greet))
	work(pathTrain, answer(s, s.train))
	work(pathStop, answer(s, func(ctx context.Context, r runRequest) (Training, error) { return w.StopTraining(ctx, r.Run) }))
	work(pathLoad, answer(s, w.Load))
	work(pathUnload, answer(s, func(ctx context.Context, r runRequest) (struct{}, error) { return struct{}{}, w.Unload(ctx, r.Run) }))
	work(pathWatch, stream(s, func(ctx context.Context, r runRequest) iter.Seq2[Event, error] { return w.Watch(ctx, r.Run) }))
	work(pathSample, stream(s, w.Sample))
	work(pathChat, stream(s, w.Chat))
	work(pathGenerate, stream(s, w.Generate))
	work(pathRelease, answer(s, func(ctx context.Context, r stateRequest) (struct{}, error) {
		return struct{}{}, w.Release(ctx, r.State)
	}))
	mux.Handle("POST "+pathShutdown, answer(s, s.shutdown))
	return mux
}

func (s *server) status(ctx context.Context, _ struct{}) (Status, error) {
	status, err := s.workbench.Status(ctx)
	process := s.state.Process
	status.Process = &process
	return status, err
}

func (s *server) train(ctx context.Context, r TrainRequest) (Training, error) {
	training, err := s.workbench.Train(ctx, r)
	s.noteTrainings(ctx)
	return training, err
}

func (s *server) shutdown(context.Context, struct{}) (struct{}, error) {
	select {
	case s.stop <- "a client asked for it":
	default: // it is about to
	}
	return struct{}{}, nil
}

// working counts a request as work, and takes none when the session stops.
func (s *server) working(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		stopping := s.stopping
		if !stopping {
			s.active++
		}
		s.mu.Unlock()
		if stopping {
			writeJSON(w, http.StatusServiceUnavailable, failure{"the session is stopping; call again for a new one"})
			return
		}
		defer func() {
			s.mu.Lock()
			s.active--
			s.lastWork = time.Now()
			s.mu.Unlock()
		}()
		next.ServeHTTP(w, r)
	})
}

// answer is the handler of a call with one answer.
func answer[In, Out any](s *server, call func(context.Context, In) (Out, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		in, err := readBody[In](w, r)
		if err != nil {
			writeJSON(w, http.StatusBadRequest, failure{err.Error()})
			return
		}
		var out Out
		err = s.guarded(r, func() (err error) {
			out, err = call(r.Context(), in)
			return err
		})
		if err != nil {
			writeJSON(w, http.StatusUnprocessableEntity, failure{err.Error()})
			return
		}
		writeJSON(w, http.StatusOK, out)
	})
}

// stream is the handler of a call with many answers.
func stream[In, Out any](s *server, call func(context.Context, In) iter.Seq2[Out, error]) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		in, err := readBody[In](w, r)
		if err != nil {
			writeJSON(w, http.StatusBadRequest, failure{err.Error()})
			return
		}
		lines := newLineWriter(w)
		err = s.guarded(r, func() error {
			for item, err := range call(r.Context(), in) {
				if err != nil {
					return err
				}
				if err := lines.write(line[Out]{Item: &item}); err != nil {
					return err
				}
			}
			return nil
		})
		last := line[Out]{End: err == nil}
		if err != nil {
			last.Error = err.Error()
		}
		if err := lines.write(last); err != nil && r.Context().Err() == nil {
			s.options.Log(fmt.Sprintf("%s: the client does not take the answer: %v", r.URL.Path, err))
		}
	})
}

// guarded makes a panic of a call that call's error. The session lives on.
func (s *server) guarded(r *http.Request, call func() error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			s.options.Log(fmt.Sprintf("%s: caught: %v\n%s", r.URL.Path, value, debug.Stack()))
			err = fmt.Errorf("%s: the session caught a panic: %v; its log %s has the stack", strings.TrimPrefix(r.URL.Path, "/"), value, s.state.Log)
		}
	}()
	return call()
}

// readBody reads a request; an empty one is the zero value.
func readBody[In any](w http.ResponseWriter, r *http.Request) (in In, err error) {
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&in); err != nil && !errors.Is(err, io.EOF) {
		return in, fmt.Errorf("read the request to %s: %w", r.URL.Path, err)
	}
	return in, nil
}

// logWriter makes a log.Logger's writer of a function that takes lines.
type logWriter func(line string)

func (w logWriter) Write(text []byte) (int, error) {
	w(strings.TrimSpace(string(text)))
	return len(text), nil
}
