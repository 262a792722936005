package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"tandem/workbench/checkpoint"
	"tandem/workbench/session"
)

// Train trains a model and shows how it goes: curves, numbers and samples, in place. The options are added to the model's.
// Interrupting the cell stops the training with a checkpoint, unless KeepRunning was given.
func Train(m *Architecture, options ...Option) *Run {
	if m.err != nil {
		return &Run{err: m.err}
	}
	plan := m.plan.with(options)
	c := *m.Config
	if err := c.Override(planOf(options).overrides); err != nil {
		return &Run{err: fail(err)}
	}
	config, err := json.Marshal(c)
	if err != nil {
		return &Run{err: fail(err)}
	}
	return startTraining(session.TrainRequest{Config: config, Command: os.Args}, plan.keepRunning)
}

// Resume continues a run from its newest checkpoint; options say what is to be different, such as more Steps.
func Resume(run string, options ...Option) *Run {
	found, err := OpenRun(run)
	if err != nil {
		return &Run{err: fail(err)}
	}
	plan := planOf(options)
	if err := found.Info.Config.Override(plan.overrides); err != nil {
		return &Run{err: fail(err)}
	}
	config, err := json.Marshal(found.Info.Config)
	if err != nil {
		return &Run{err: fail(err)}
	}
	return startTraining(session.TrainRequest{Config: config, Command: os.Args, Resume: found.Folder}, plan.keepRunning)
}

// Watch shows a run's training again, from its beginning: one that KeepRunning left going, or one that has ended. Interrupting
// the cell only stops looking.
func Watch(run string) *Run {
	bench, err := openBench(false)
	if err != nil {
		return &Run{err: fail(err)}
	}
	defer bench.Close()
	found, err := OpenRun(run)
	if err != nil {
		return &Run{err: fail(err)}
	}
	ctx, done := interruptible()
	defer done()
	return follow(ctx, bench, found.Folder, true)
}

// Stop ends a training that KeepRunning left going, with a checkpoint.
func Stop(run string) *Run {
	bench, err := openBench(false)
	if err != nil {
		return &Run{err: fail(err)}
	}
	defer bench.Close()
	ended, err := bench.StopTraining(context.Background(), run)
	if err != nil {
		return &Run{err: fail(err)}
	}
	display.Show(Panel{Note: ending(ended)})
	return opened(ended.Folder)
}

// Open finds a run by its name or path; "" is the newest. It is OpenRun for a cell.
func Open(run string) *Run {
	found, err := OpenRun(run)
	if err != nil {
		return &Run{err: fail(err)}
	}
	return found
}

// Err is why a cell-facing call gave no run, or why its training failed. One that was stopped has not failed.
func (r *Run) Err() error { return r.err }

// Show draws a run's curves, and lists its checkpoints and the last sample.
func (r *Run) Show() *Run {
	if r.err != nil {
		return r
	}
	records, err := r.metrics()
	if err != nil {
		return &Run{err: fail(err)}
	}
	live := newLivePanel(r.Name)
	for _, record := range records {
		live.take(record)
	}
	panel := live.panel()
	saved, skipped, err := checkpoint.List(r.Folder)
	if err != nil {
		return &Run{err: fail(err)}
	}
	table := Table{Heading: []string{"checkpoint", "steps"}}
	for _, entry := range saved {
		table.Rows = append(table.Rows, []string{filepath.Base(entry.Dir), Grouped(entry.Step)})
	}
	for _, bad := range skipped {
		table.Rows = append(table.Rows, []string{"unusable: " + bad.String(), ""})
	}
	panel.Tables = []Table{table}
	display.Show(panel)
	return r
}

// startTraining begins a training where trainings of cells run, and follows it.
func startTraining(request session.TrainRequest, keepRunning bool) *Run {
	bench, err := openBench(keepRunning)
	if err != nil {
		return &Run{err: fail(err)}
	}
	defer bench.Close()
	ctx, done := interruptible() // before there is a training, or an early interrupt would leave it behind
	defer done()
	training, err := bench.Train(context.Background(), request)
	if err != nil {
		return &Run{err: fail(err)}
	}
	reference := training.Folder
	if reference == "" {
		reference = training.Run
	}
	return follow(ctx, bench, reference, keepRunning)
}

// follow shows a training until it ends, or until the cell is interrupted, which ends ctx: then the training is stopped, unless
// it is to keep running.
func follow(ctx context.Context, bench session.Workbench, run string, keepRunning bool) *Run {
	live := newLivePanel(filepath.Base(run))
	reference := Reference(live.run, run)
	update := display.Live()
	var ended *session.Training
	for event, err := range bench.Watch(ctx, run) {
		if err != nil {
			if ctx.Err() != nil {
				break
			}
			return &Run{err: fail(err)}
		}
		live.take(event.Record)
		live.show(update)
		ended = event.Training
	}
	if ended == nil && ctx.Err() != nil {
		if keepRunning {
			live.end(update, fmt.Sprintf("%s goes on; lab.Watch(%q) shows it, lab.Stop(%q) ends it.", live.run, reference, reference))
			return opened(run)
		}
		live.end(update, "stopping, with a checkpoint")
		stopped, late, err := stopSoon(bench, run)
		switch {
		case late:
			live.end(update, fmt.Sprintf("%s is stopping; its session saves the checkpoint. lab.Open(%q).Show() lists it then.", live.run, reference))
			return opened(run)
		case err != nil:
			return &Run{err: fail(err)}
		}
		ended = &stopped
	}
	if ended == nil {
		return &Run{err: fail(fmt.Errorf("watch %s: its events ended without a last one; look at its folder", run))}
	}
	live.end(update, ending(*ended))
	if ended.State == session.Failed {
		return &Run{Name: ended.Run, Folder: ended.Folder, err: fail(errors.New(ended.Problem))}
	}
	return opened(ended.Folder)
}

// stopPatience is how long an interrupted cell waits for its training's checkpoint: GoNB kills the cell five seconds after
// the interrupt.
var stopPatience = 3 * time.Second

// stopSoon stops a training, and waits until its checkpoint is saved; late says that a session, which needs no cell for it,
// was still at it when the patience was over. A training in this process is waited for.
func stopSoon(bench session.Workbench, run string) (stopped session.Training, late bool, err error) {
	ctx := context.Background()
	if _, here := bench.(*local); !here {
		var done context.CancelFunc
		ctx, done = context.WithTimeout(ctx, stopPatience)
		defer done()
	}
	stopped, err = bench.StopTraining(ctx, run)
	return stopped, err != nil && ctx.Err() != nil, err
}

func opened(folder string) *Run {
	run, err := OpenRun(folder)
	if err != nil {
		return &Run{err: fail(err)}
	}
	return run
}

// ending says how a training ended, in a sentence.
func ending(t session.Training) string {
	text := fmt.Sprintf("%s: %s after %d steps", t.Run, t.State, t.Step)
	if t.Tokens > 0 {
		text += fmt.Sprintf(", %s tokens in %.0f s", scaled(float64(t.Tokens), ""), t.Seconds)
	}
	if t.BPB > 0 {
		text += fmt.Sprintf("; validation %.3f bits per byte", t.BPB)
	}
	if t.UnigramBPB > 0 {
		text += fmt.Sprintf(" (counting tokens alone: %.3f)", t.UnigramBPB)
	}
	if t.Problem != "" && t.State != session.Failed {
		text += "; " + t.Problem
	}
	return text + "."
}
