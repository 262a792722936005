package lab

import (
	"context"
	"errors"
	"fmt"
	"os"

	"tandem/workbench/chat"
	"tandem/workbench/session"
	"tandem/xla"
)

// Tune tunes a run on conversations, into a new run, and shows how it goes as Train does: Data("godoc-chat"), which is also
// without, asks about the Go documentation. It works in this process: interrupting the cell stops it with a checkpoint, which
// GoNB gives it five seconds for.
func (r *Run) Tune(options ...Option) *Run {
	if r.err != nil {
		return r
	}
	plan := planOf(options)
	if plan.keepRunning {
		return &Run{err: fail(errors.New("tune: a session does not tune yet, so this ends with its cell; leave KeepRunning out"))}
	}
	c := TuneConfig(r)
	if err := c.Override(plan.overrides); err != nil {
		return &Run{err: fail(err)}
	}
	ctx, done := interruptible()
	defer done()
	training := newSessionTraining(r.Name+", tuned", r.Folder, c)
	var result *TuneResult
	go func() {
		err := xla.Try(func() (err error) {
			result, err = Tune(ctx, c, TuneOptions{Parent: r, Command: os.Args, Say: training.note, Report: training.report})
			return err
		})
		training.finish(result.asTraining(), err)
	}()
	live, update := newLivePanel(r.Name+", tuned"), display.Live()
	for event := range training.watch(context.Background()) {
		live.take(event.Record)
		live.show(update)
	}
	ended := training.Training()
	if result != nil {
		ended.Run = result.Name
	}
	live.end(update, ending(ended))
	if ended.State == session.Failed {
		return &Run{err: fail(errors.New(ended.Problem))}
	}
	if result == nil { // stopped before its first step
		return &Run{err: errors.New(ended.Problem)}
	}
	return result.Run
}

// asTraining is a tuning's result in the words of a training's; nil if there is none.
func (t *TuneResult) asTraining() *TrainResult {
	if t == nil {
		return nil
	}
	return &TrainResult{Run: t.Run, Name: t.Name, Steps: t.Steps, Parameters: t.Parameters, Tokens: t.Tokens, Seconds: t.Seconds, BPB: t.BPB, Sample: t.Sample}
}

// Calculate shows what a model gets back when its answer calls the calculator with an expression.
func Calculate(expression string) *Shown {
	result, err := chat.Calculator(context.Background(), expression)
	if err != nil {
		return &Shown{fail(err)}
	}
	display.Show(Panel{Note: fmt.Sprintf("<|python_start|>%s<|python_end|><|output_start|>%s<|output_end|>", expression, result)})
	return &Shown{}
}
