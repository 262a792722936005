package web

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"time"

	"tandem/workbench/chat"
)

// events writes server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html).
type events struct {
	w       http.ResponseWriter
	control *http.ResponseController
	stall   time.Duration
}

func (s *Server) newEvents(w http.ResponseWriter) *events {
	header := w.Header()
	header.Set("Content-Type", "text/event-stream; charset=utf-8")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Accel-Buffering", "no") // proxies would hold events back
	w.WriteHeader(http.StatusOK)
	return &events{w, http.NewResponseController(w), s.limits.Stall}
}

// send writes one event and pushes it out. A client that does not take it in time is as good as gone.
func (e *events) send(value any) error {
	encoded, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return e.raw(encoded)
}

func (e *events) raw(data []byte) error {
	_ = e.control.SetWriteDeadline(time.Now().Add(e.stall)) // not every test's writer has one
	if _, err := e.w.Write(bytes.Join([][]byte{[]byte("data: "), data, []byte("\n\n")}, nil)); err != nil {
		return err
	}
	return e.control.Flush()
}

// stream sends the answer as it comes: in a chat a first chunk with the role, then one a delta, one with the reason of
// the end, the usage if it was asked for, and [DONE]. An error after the first chunk is an event of its own, for the status is out.
// The status waits for the first delta, so that what fails before that has one.
func (s *Server) stream(ctx context.Context, w http.ResponseWriter, e endpoint, object completionObject, r *request, answer *chat.Answer) {
	object.Object = e.chunk
	var out *events
	scores := e.scored(r, answer)
	chunk := func(c choice, logProbs any) error {
		c.LogProbs = logProbs
		object.Choices = []choice{c}
		return out.send(object)
	}
	begin := func() error {
		if out != nil {
			return nil
		}
		out = s.newEvents(w)
		if e.first == nil {
			return nil
		}
		return chunk(e.first(), nil)
	}
	for delta, err := range answer.Deltas() {
		if err != nil {
			problem := s.problem(ctx, e, err, http.StatusInternalServerError)
			if out == nil {
				writeError(w, problem)
			} else {
				_ = out.send(problem)
			}
			return
		}
		if begin() != nil || chunk(e.delta(delta), scores.take()) != nil {
			return
		}
	}
	if begin() != nil || chunk(e.last(answer.Finish()), scores.take()) != nil {
		return
	}
	if r.includeUsage {
		object.Choices, object.Usage = []choice{}, usageOf(answer.Usage())
		if out.send(object) != nil {
			return
		}
	}
	_ = out.raw([]byte("[DONE]"))
}
