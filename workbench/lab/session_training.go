package lab

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"sync"
	"time"

	"tandem/workbench/config"
	"tandem/workbench/runlog"
	"tandem/workbench/session"
	"tandem/workbench/train"
)

// sessionTraining is a training of a workbench as others see it: what happened in it, and a sign when more does.
type sessionTraining struct {
	name, folder string
	timed        bool            // of minutes: its steps are not known at first
	ctx          context.Context // ends when it is to stop
	cancel       context.CancelFunc
	done         chan struct{} // closed when it has ended

	mu     sync.Mutex
	about  session.Training
	events []session.Event
	more   chan struct{} // closed and replaced when there are more events
}

func newSessionTraining(name, folder string, c *config.Config) *sessionTraining {
	return &sessionTraining{
		name: name, folder: folder, timed: c.Train.Minutes > 0, done: make(chan struct{}), more: make(chan struct{}),
		about: session.Training{Run: name, Folder: folder, State: session.Running, Started: time.Now().UTC(), Steps: c.Train.Resolved().Steps},
	}
}

// Training is how far it is.
func (t *sessionTraining) Training() session.Training {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.about
}

func (t *sessionTraining) ended() bool { return t.Training().State != session.Running }

// add appends an event. t.mu must be held.
func (t *sessionTraining) add(e session.Event) {
	if e.Record.Time.IsZero() {
		e.Record.Time = time.Now().UTC()
	}
	t.learn(e.Record)
	t.events = append(t.events, e)
	close(t.more)
	t.more = make(chan struct{})
}

// learn keeps what a record says of how far the training is.
func (t *sessionTraining) learn(r runlog.Record) {
	if steps, ok := r.Values["steps"]; ok { // one of minutes finds them as it goes
		t.about.Steps = int(steps)
	}
	switch r.Kind {
	case runlog.KindStep:
		t.about.Step, t.about.Loss = r.Step, finite(r.Values[runlog.Loss])
	case runlog.KindEval:
		t.about.BPB = finite(r.Values[runlog.BitsPerByte])
	case runlog.KindSample:
		t.about.Sample = r.Text["text"]
	case runlog.KindResume:
		t.about.Step = r.Step
	}
}

// replay adds the records of an earlier training of the run; its steps get the values that those of a loop have.
func (t *sessionTraining) replay(records []runlog.Record) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if done := runlog.Summarize(records).Steps; t.timed && done > 0 {
		t.about.Steps = done
	}
	for _, record := range records {
		switch steps := float64(t.about.Steps); {
		case record.Kind == runlog.KindSample:
			record.Values = map[string]float64{"steps": steps}
		case record.Kind == runlog.KindStep && record.Values != nil:
			record.Values["steps"] = steps
			record.Values[runlog.TokensPerSecond] = record.Values[runlog.Tokens] / max(record.Values[runlog.Seconds], 1e-9)
		}
		t.add(session.Event{Record: record})
	}
}

// note adds what is being done, in words.
func (t *sessionTraining) note(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.add(session.Event{Record: runlog.Record{Kind: session.Say, Step: t.about.Step, Text: map[string]string{"text": line}}})
}

// report adds an event of the loop.
func (t *sessionTraining) report(e Event) {
	record := runlog.Record{Kind: e.Kind, Step: e.Step}
	switch e.Kind {
	case runlog.KindStep:
		record.Values = map[string]float64{
			runlog.Loss: e.Metrics.Loss, "norm": e.Metrics.Norm, "lr": e.Metrics.LR, runlog.TokensPerSecond: e.TokensPerSecond,
			"steps": float64(e.Steps), "remaining_seconds": e.Remaining.Seconds(),
		}
	case runlog.KindEval:
		record.Values = map[string]float64{runlog.BitsPerByte: e.BPB}
	case runlog.KindSave:
		record.Text = map[string]string{"folder": e.Text}
	case runlog.KindSample:
		record.Values, record.Text = map[string]float64{"steps": float64(e.Steps)}, map[string]string{"text": e.Text}
	default:
		record.Text = map[string]string{"text": e.Text}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.add(session.Event{Record: record})
}

// finish ends the training with what TrainConfig returned.
func (t *sessionTraining) finish(result *TrainResult, err error) {
	if result != nil {
		t.mu.Lock()
		a := &t.about
		a.Step, a.Parameters, a.Tokens, a.Seconds = result.Steps, result.Parameters, result.Tokens, result.Seconds
		a.BPB, a.UnigramBPB, a.Sample = finite(result.BPB), finite(result.UnigramBPB), result.Sample
		t.mu.Unlock()
	}
	switch {
	case err == nil:
		t.end(session.Done, "")
	case errors.Is(err, ErrInterrupted):
		t.end(session.Stopped, "")
	case errors.Is(err, context.Canceled):
		t.end(session.Stopped, "it was stopped before its first step")
	default:
		t.end(session.Failed, err.Error())
	}
}

// end adds the last event.
func (t *sessionTraining) end(state session.TrainingState, problem string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.about.State, t.about.Problem = state, problem
	about := t.about
	t.add(session.Event{Record: runlog.Record{Kind: session.End, Step: about.Step}, Training: &about})
	close(t.done)
}

// watch gives the events from the first to the last.
func (t *sessionTraining) watch(ctx context.Context) iter.Seq2[session.Event, error] {
	return func(yield func(session.Event, error) bool) {
		for next := 0; ; {
			t.mu.Lock()
			events, more := t.events[next:len(t.events):len(t.events)], t.more
			t.mu.Unlock()
			for _, event := range events {
				if !yield(event, nil) || event.Training != nil {
					return
				}
			}
			next += len(events)
			if len(events) > 0 {
				continue
			}
			select {
			case <-ctx.Done():
				yield(session.Event{}, ctx.Err())
				return
			case <-more:
			}
		}
	}
}

// finite is x, or 0 where JSON has no word for it.
func finite(x float64) float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return 0
	}
	return x
}

// EventOf is the event of a loop that a session's event came from.
func EventOf(e session.Event) Event {
	r := e.Record
	text := r.Text["text"]
	switch r.Kind {
	case runlog.KindSave:
		text = r.Text["folder"]
	case runlog.KindResume:
		text = fmt.Sprintf("going on after step %d", r.Step)
	}
	return Event{
		Kind: r.Kind, Step: r.Step, Steps: int(r.Values["steps"]), BPB: r.Values[runlog.BitsPerByte], Text: text,
		Metrics:         train.Metrics{Step: r.Step - 1, Loss: r.Values[runlog.Loss], Norm: r.Values["norm"], LR: r.Values["lr"]},
		TokensPerSecond: r.Values[runlog.TokensPerSecond],
		Remaining:       time.Duration(r.Values["remaining_seconds"] * float64(time.Second)),
	}
}
