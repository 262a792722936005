package web

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"tandem/workbench/chat"
	"tandem/workbench/generate"
)

// endpoint is what chat completions and completions do differently.
type endpoint struct {
	decode        func(body []byte, limits *Limits) (*request, *apiError)
	begin         func(s *Server, ctx context.Context, r *request, o chat.Options) (*running, error)
	input         string // the field that is answered
	prefix        string // of the id
	object, chunk string
	whole         func(content chat.Content, finish string) choice
	first         func() choice // of a stream, before any text; nil if there is none
	delta         func(d chat.Delta) choice
	last          func(finish string) choice
	scores        func(tokens []chat.TextToken, offset int) any
}

var chatEndpoint = endpoint{
	decode: decodeChat, begin: (*Server).beginChat, input: "messages", prefix: "chatcmpl-", object: "chat.completion", chunk: "chat.completion.chunk",
	whole: chatChoice, first: chatFirst, delta: chatDelta, last: chatLast, scores: chatScores,
}

var textEndpoint = endpoint{
	decode: decodeCompletion, begin: (*Server).beginText, input: "prompt", prefix: "cmpl-", object: "text_completion", chunk: "text_completion",
	whole: textChoice, delta: textDelta, last: textLast, scores: textScores,
}

// scored are an answer's log-probabilities if they were asked for, else nil.
func (e endpoint) scored(r *request, answer *chat.Answer) *scores {
	if !r.logProbs {
		return nil
	}
	return &scores{answer: answer, shape: e.scores}
}

// errTimeout ends an answer that takes longer than Limits.Timeout.
var errTimeout = errors.New("the answer took too long")

// completion answers a request, in five steps.
func (s *Server) completion(e endpoint) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		// 1. Read and check it.
		body, problem := s.body(w, r)
		if problem != nil {
			writeError(w, problem)
			return
		}
		request, problem := e.decode(body, &s.limits)
		if problem == nil {
			problem = s.checkModel(request.model)
		}
		if problem != nil {
			writeError(w, problem)
			return
		}
		// 2. Take a place.
		select {
		case s.places <- struct{}{}:
			defer func() { <-s.places }()
		default:
			writeError(w, busy(fmt.Sprintf("all %d places are taken; try again in a moment", s.limits.Requests)))
			return
		}
		// 3. Begin. The context ends with the client's connection, the timeout, or the server.
		ctx, cancel := context.WithTimeoutCause(r.Context(), s.limits.Timeout, errTimeout)
		defer cancel()
		run, err := e.begin(s, ctx, request, s.chatOptions(request))
		if err != nil {
			writeError(w, s.problem(ctx, e, err, http.StatusBadRequest))
			return
		}
		// 4. Answer; at the end the row is free, whatever happened.
		defer func() {
			s.metrics.answered(run.answer.Usage())
			run.end()
		}()
		id := completionObject{ID: e.prefix + rand.Text(), Created: time.Now().Unix(), Model: s.options.Info.Name}
		if request.stream {
			s.stream(ctx, w, e, id, request, run.answer)
		} else {
			s.plain(ctx, w, e, id, request, run.answer)
		}
	}
}

// body reads a request's body, within the limits of size and time.
func (s *Server) body(w http.ResponseWriter, r *http.Request) ([]byte, *apiError) {
	control := http.NewResponseController(w)
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, s.limits.Body))
	// The connection is read on to see whether the client leaves, and written to when there is something; not every
	// test's connection has deadlines. That for reading stays where the body did not come: the rest of it is waited for
	// before the answer goes out.
	_ = control.SetWriteDeadline(time.Time{})
	if err == nil {
		_ = control.SetReadDeadline(time.Time{})
	}
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, &apiError{status: http.StatusRequestEntityTooLarge, kind: kindInvalid, code: "request_too_large", message: fmt.Sprintf("the request body has more than %d bytes; send less", s.limits.Body)}
	case err != nil:
		return nil, &apiError{status: http.StatusRequestTimeout, kind: kindInvalid, message: fmt.Sprintf("the request body did not come whole in %s", s.limits.Stall)}
	}
	return body, nil
}

// chatOptions are a request's wishes; without a seed one is drawn.
func (s *Server) chatOptions(r *request) chat.Options {
	if !r.seeded {
		var seed [8]byte
		_, _ = rand.Read(seed[:]) // never fails
		r.sampling.Seed = binary.LittleEndian.Uint64(seed[:])
	}
	if r.maxTokens == 0 {
		r.maxTokens = min(s.limits.MaxTokens, max(1, s.options.Info.Context))
	}
	return chat.Options{MaxTokens: r.maxTokens, Stop: r.stop, Sampling: r.sampling, Overflow: r.overflow}
}

// running is an answer and what must be given back after it.
type running struct {
	answer *chat.Answer
	end    func()
}

// beginChat goes on from the longest kept conversation that this one begins with. It is given back together with the new
// one: the answer may be asked for again.
func (s *Server) beginChat(ctx context.Context, r *request, o chat.Options) (*running, error) {
	conversation := chat.Conversation{Messages: r.messages}
	o.Keep = s.limits.CacheBytes > 0
	thread := s.cache.Take(conversation)
	answer, err := s.options.Model.Answer(ctx, conversation, thread, o)
	if err != nil {
		s.cache.Put(thread)
		return nil, err
	}
	return &running{answer, func() {
		answer.Close()
		s.cache.Put(thread)
		s.cache.Put(answer.Thread())
	}}, nil
}

func (s *Server) beginText(ctx context.Context, r *request, o chat.Options) (*running, error) {
	answer, err := s.options.Model.Complete(ctx, r.prompt, o)
	if err != nil {
		return nil, err
	}
	return &running{answer, answer.Close}, nil
}

// problem puts an error of the model into the API's words. otherwise is the status of one that is not known here.
func (s *Server) problem(ctx context.Context, e endpoint, err error, otherwise int) *apiError {
	cause := context.Cause(ctx)
	switch {
	case errors.Is(err, generate.ErrBusy):
		return busy(err.Error())
	case errors.Is(err, chat.ErrTooLong):
		problem := invalid(e.input, "%s", err.Error())
		problem.code = "context_length_exceeded"
		return problem
	case errors.Is(err, generate.ErrClosed), errors.Is(cause, errStopping):
		return &apiError{status: http.StatusServiceUnavailable, kind: kindServer, code: "stopping", retryAfter: 5, message: errStopping.Error()}
	case errors.Is(cause, errTimeout):
		return &apiError{status: http.StatusGatewayTimeout, kind: kindServer, code: "timeout", message: fmt.Sprintf("%s: more than %s; ask for fewer tokens or try again later", errTimeout, s.limits.Timeout)}
	case cause != nil:
		return &apiError{status: statusClientGone, kind: kindServer, message: "the client left"}
	case otherwise < http.StatusInternalServerError:
		return invalid("", "%s", err.Error())
	}
	s.options.Log("answer failed: " + err.Error())
	return &apiError{status: otherwise, kind: kindServer, message: "the model failed: " + err.Error()}
}

// plain sends the whole answer at once.
func (s *Server) plain(ctx context.Context, w http.ResponseWriter, e endpoint, object completionObject, r *request, answer *chat.Answer) {
	for _, err := range answer.Deltas() {
		if err != nil {
			writeError(w, s.problem(ctx, e, err, http.StatusInternalServerError))
			return
		}
	}
	object.Object = e.object
	whole := e.whole(answer.Content(), answer.Finish())
	whole.LogProbs = e.scored(r, answer).take()
	object.Choices = []choice{whole}
	object.Usage = usageOf(answer.Usage())
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(s.limits.Stall))
	writeJSON(w, http.StatusOK, object)
}
