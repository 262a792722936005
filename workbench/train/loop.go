package train

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"tandem/workbench/checkpoint"
	"tandem/workbench/runlog"
)

// Loop runs a Trainer to its last step: it draws batches, reads metrics back every LogEvery steps, evaluates, samples,
// saves and writes the run's metrics. The functions are its hooks; Evaluate, Sample and Report may be nil.
type Loop struct {
	Trainer *Trainer
	// Folder is the run's, where checkpoints go.
	Folder string
	// Log is the run's metrics.
	Log *runlog.Writer

	// Next draws one batch; Data is the position after it, kept in checkpoints. While Run runs both are called in the
	// background, a few batches ahead of the step, and must not be called by others.
	Next func() (Batch, error)
	Data func() (json.RawMessage, error)
	// Evaluate measures validation bits per byte.
	Evaluate func(ctx context.Context) (float64, error)
	// Sample continues a prompt with the current weights.
	Sample func(ctx context.Context) (string, error)
	// Report is told what happens as it happens, for people to see.
	Report func(Event)

	state   LoopState
	started time.Time
	spent   time.Duration // training time since the last step record
	waited  time.Duration // of it, the time spent waiting for data
	ahead   *ahead
	clock   clock
	cut     bool // the context ended in a hook
}

// LoopState is what a loop carries over a restart, kept as state.json. A field that an older file lacks is zero.
type LoopState struct {
	Step    int     `json:"step"`
	Seed    uint64  `json:"seed"`
	Tokens  int64   `json:"tokens"`
	Seconds float64 `json:"seconds"`
	BestBPB float64 `json:"best_bpb"` // 0: none measured yet
	LastBPB float64 `json:"last_bpb"`
	// DataSeconds is the part of Seconds that was spent waiting for data.
	DataSeconds float64         `json:"data_seconds"`
	Data        json.RawMessage `json:"data,omitempty"`
}

// Event is one thing that happened in a training.
type Event struct {
	Kind    string // as in runlog: step, eval, sample, save, event
	Step    int    // steps done
	Steps   int    // of so many
	Metrics Metrics
	BPB     float64
	Text    string // of a step: what there is to say of it instead of its loss
	// TokensPerSecond is of the steps since the last such event, Remaining what the rest will take at that speed.
	TokensPerSecond float64
	Remaining       time.Duration
	// DataWait is the share of the time of those steps that was spent waiting for data.
	DataWait float64
}

// Resume takes over the state of a checkpoint; the trainer and the data are restored by the caller.
func (l *Loop) Resume(state LoopState) { l.state = state }

// State is the loop's as of the last step.
func (l *Loop) State() LoopState { return l.state }

// Run trains to the last step. On cancellation it saves and returns ErrInterrupted. If the guard has skipped SkipLimit
// steps in a row it returns an error and saves nothing: the last checkpoint stays the newest.
func (l *Loop) Run(ctx context.Context) error {
	if err := l.timeLeft(); err != nil {
		return err
	}
	l.state.Seed = l.Trainer.Options().Seed
	l.started = time.Now()
	l.ahead = drawAhead(l.Next, l.Data, max(4, 2*l.Trainer.Options().Accumulate))
	defer l.ahead.close()
	for l.Trainer.At() < l.Trainer.Options().Steps {
		if ctx.Err() != nil {
			return l.interrupt()
		}
		if err := l.step(); err != nil {
			return err
		}
		o, done := l.Trainer.Options(), l.Trainer.At() // anew each time: a training of Minutes finds its steps as it goes
		last := done >= o.Steps
		if last || done%o.LogEvery == 0 {
			if err := l.flush(); err != nil {
				return err
			}
		}
		if l.Evaluate != nil && (last || done%o.EvalEvery == 0) {
			if err := l.hooked(ctx, l.evaluate(ctx)); err != nil {
				return err
			}
		}
		if last || done%o.SaveEvery == 0 {
			if err := l.save(); err != nil { // before a sample, whose failure must not cost the steps
				return err
			}
		}
		if l.Sample != nil && (last || (o.SampleEvery > 0 && done%o.SampleEvery == 0)) {
			if err := l.hooked(ctx, l.sample(ctx)); err != nil {
				return err
			}
		}
	}
	return l.end()
}

// step draws the batches of one step and runs it.
func (l *Loop) step() error {
	start := time.Now()
	batches := make([]Batch, l.Trainer.options.Accumulate)
	for i := range batches {
		batch, err := l.draw()
		if err != nil {
			return fmt.Errorf("draw a batch for step %d: %w", l.Trainer.At(), err)
		}
		l.state.Tokens += int64(len(batch.Tokens))
		batches[i] = batch
	}
	if err := l.Trainer.Step(batches); err != nil {
		return err
	}
	l.spend(time.Since(start))
	l.waited += l.ahead.waited
	l.state.DataSeconds += l.ahead.waited.Seconds()
	l.ahead.waited = 0
	l.state.Step = l.Trainer.At()
	return l.retime()
}

// flush reads metrics back, writes and reports them, and stops a training that no longer learns.
func (l *Loop) flush() error {
	if err := l.settle(); err != nil {
		return err
	}
	metrics, err := l.Trainer.Flush()
	if err != nil || len(metrics) == 0 {
		return err
	}
	o := l.Trainer.options
	tokens := float64(o.Batch * o.Accumulate * l.Trainer.model.Config.Context)
	seconds := l.spent.Seconds() / float64(len(metrics))
	wait := min(1, l.waited.Seconds()/l.spent.Seconds())
	l.spent, l.waited = 0, 0
	for _, m := range metrics {
		err := l.Log.Write(runlog.Record{Kind: runlog.KindStep, Step: m.Step + 1, Time: time.Now(), Values: map[string]float64{
			runlog.Loss: m.Loss, "norm": m.Norm, "lr": m.LR, runlog.Tokens: tokens, runlog.Seconds: seconds, runlog.DataWait: wait,
		}})
		if err != nil {
			return err
		}
		if m.Skipped {
			if err := l.event(m.Step+1, fmt.Sprintf("step %d skipped: loss %.4g, gradient norm %.4g; the weights stay as they were", m.Step+1, m.Loss, m.Norm)); err != nil {
				return err
			}
		}
	}
	newest := metrics[len(metrics)-1]
	left := time.Duration(float64(o.Steps-l.Trainer.At()) * seconds * float64(time.Second))
	l.report(Event{Kind: runlog.KindStep, Metrics: newest, TokensPerSecond: tokens / seconds, Remaining: left, DataWait: wait})
	if newest.InRow >= o.SkipLimit {
		return fmt.Errorf("training stopped at step %d: %d steps in a row were skipped (loss %.4g, gradient norm %.4g); %s with lower learning rates, or raise spike_limit",
			l.Trainer.At(), newest.InRow, newest.Loss, newest.Norm, l.again())
	}
	return nil
}

// again is how a training that does not learn is tried once more.
func (l *Loop) again() string {
	if len(l.state.Data) == 0 {
		return "there is no checkpoint yet: begin anew"
	}
	return "the last checkpoint is intact: --resume from it"
}

func (l *Loop) evaluate(ctx context.Context) error {
	if err := l.settle(); err != nil {
		return err
	}
	bpb, err := l.Evaluate(ctx)
	if err != nil {
		return fmt.Errorf("evaluate at step %d: %w", l.Trainer.At(), err)
	}
	l.state.LastBPB = bpb
	if l.state.BestBPB == 0 || bpb < l.state.BestBPB {
		l.state.BestBPB = bpb
	}
	l.report(Event{Kind: runlog.KindEval, BPB: bpb})
	return l.Log.Write(runlog.Record{Kind: runlog.KindEval, Step: l.Trainer.At(), Time: time.Now(), Values: map[string]float64{
		runlog.BitsPerByte: bpb,
	}})
}

func (l *Loop) sample(ctx context.Context) error {
	if err := l.settle(); err != nil {
		return err
	}
	text, err := l.Sample(ctx)
	if err != nil {
		return fmt.Errorf("sample at step %d: %w", l.Trainer.At(), err)
	}
	l.report(Event{Kind: runlog.KindSample, Text: text})
	return l.Log.Write(runlog.Record{Kind: runlog.KindSample, Step: l.Trainer.At(), Time: time.Now(), Text: map[string]string{"text": text}})
}

// save writes a checkpoint and removes those beyond Keep.
func (l *Loop) save() error {
	if err := l.settle(); err != nil {
		return err
	}
	data, err := l.position()
	if err != nil {
		return fmt.Errorf("save step %d: data position: %w", l.Trainer.At(), err)
	}
	l.state.Data = data
	state, err := json.Marshal(l.state)
	if err != nil {
		return fmt.Errorf("save step %d: %w", l.Trainer.At(), err)
	}
	if err := l.Log.Present(); err != nil { // a checkpoint in a folder made anew could not be resumed
		return fmt.Errorf("save step %d: %w; the training ends here", l.Trainer.At(), err)
	}
	snapshot, err := l.Trainer.Snapshot(state)
	if err != nil {
		return err
	}
	folder, err := checkpoint.Save(l.Folder, snapshot)
	if err != nil {
		return err
	}
	if _, err := checkpoint.Retain(l.Folder, l.Trainer.options.Keep); err != nil {
		return err
	}
	l.report(Event{Kind: runlog.KindSave, Text: folder})
	return l.Log.Write(runlog.Record{Kind: runlog.KindSave, Step: l.Trainer.At(), Time: time.Now(), Text: map[string]string{"folder": folder}})
}

// position is the data's after the last step.
func (l *Loop) position() (json.RawMessage, error) {
	if l.ahead == nil { // of a PolicyLoop, which draws its own
		return l.Data()
	}
	return l.ahead.position()
}

func (l *Loop) event(step int, text string) error {
	l.report(Event{Kind: runlog.KindEvent, Text: text})
	return l.Log.Write(runlog.Record{Kind: runlog.KindEvent, Step: step, Time: time.Now(), Text: map[string]string{"text": text}})
}

func (l *Loop) report(e Event) {
	if l.Report == nil {
		return
	}
	e.Step, e.Steps = l.Trainer.At(), l.Trainer.options.Steps
	l.Report(e)
}

// UnigramBPB is the bits per byte of a model that knows only how often each token occurs: the bar that any training
// must pass. counts are of the training tokens, lengths the bytes of each token, held the tokens to be coded. Each count
// is raised by one, so that no token is impossible.
func UnigramBPB(counts []int64, lengths []int32, held []int32) float64 {
	var total float64
	for _, count := range counts {
		total += float64(count + 1)
	}
	var bits, bytes float64
	for _, id := range held {
		if lengths[id] > 0 {
			bits -= math.Log2(float64(counts[id]+1) / total)
			bytes += float64(lengths[id])
		}
	}
	return bits / bytes
}
