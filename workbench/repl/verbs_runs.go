package repl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"tandem/workbench/lab"
)

// setRun makes a run the current one. A chat was with another, or with an older checkpoint of it.
func (p *Prompt) setRun(run string) {
	p.run = run
	if p.talk != nil {
		p.talk.Session.Close()
		p.talk = nil
	}
}

// reference is the run that the arguments name, else the current one.
func (p *Prompt) reference(a arguments) string {
	if len(a.words) > 0 {
		return a.words[0]
	}
	return p.run
}

func (p *Prompt) train(ctx context.Context, a arguments) error {
	request := lab.TrainRequest{Command: append([]string{"train"}, strings.Fields(a.text)...)}
	c, err := p.settings.config(a.overrides...)
	if a.has("resume") {
		var run *lab.Run
		if run, err = lab.OpenRun(p.run); err == nil {
			c, request.Resume = run.Info.Config, run.Folder
			err = c.Override(a.overrides)
		}
	}
	if err != nil {
		return err
	}
	if request.Config, err = json.Marshal(c); err != nil {
		return fmt.Errorf("train: %w", err)
	}
	bench, err := p.attached(ctx)
	if err != nil {
		return err
	}
	training, err := bench.Train(ctx, request)
	if err != nil {
		return err
	}
	before := p.run
	p.setRun(training.Folder)
	if a.has("detach") {
		fmt.Fprintf(p.out, "%s trains in the session; watch shows it, stop ends it\n", training.Run)
		return nil
	}
	err = p.follow(ctx, bench, training.Folder)
	if _, missing := lab.OpenRun(training.Folder); err != nil && missing != nil { // it failed before there was one
		p.run = before
	}
	return err
}

func (p *Prompt) watch(ctx context.Context, a arguments) error {
	bench, err := p.attached(ctx)
	if err != nil {
		return err
	}
	run := p.reference(a)
	if len(a.words) == 0 {
		status, err := bench.Status(ctx)
		if err != nil {
			return err
		}
		if training, ok := status.Training(); ok {
			run = training.Folder
		}
	}
	return p.follow(ctx, bench, run)
}

// follow shows a training until it ends, or ctx does.
func (p *Prompt) follow(ctx context.Context, bench lab.Workbench, run string) error {
	for event, err := range bench.Watch(ctx, run) {
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			return err
		}
		if event.Training == nil {
			p.showEvent(lab.EventOf(event))
			continue
		}
		text, err := EndText(*event.Training)
		if err != nil {
			return err
		}
		fmt.Fprintln(p.out, text)
		p.setRun(event.Training.Folder)
		return nil
	}
	if ctx.Err() == nil {
		return fmt.Errorf("watch %s: its events ended without a last one; look at its folder", run)
	}
	p.note(fmt.Sprintf("%s goes on; watch shows it, stop ends it", filepath.Base(run)))
	if p.console != nil { // Ctrl-C was there to stop looking
		return nil
	}
	return fmt.Errorf("watch %s: %w", filepath.Base(run), ctx.Err())
}

// showEvent shows what happens in a training: on a terminal steps change one line, and each has its own elsewhere.
func (p *Prompt) showEvent(e lab.Event) {
	switch {
	case e.Kind == lab.EventStep && p.console != nil:
		p.console.setStatus(fmt.Sprintf("step %d/%d  %s", e.Step, e.Steps, StepText(e)))
	case e.Kind == lab.EventStep:
		p.note(fmt.Sprintf("step %d/%d  %s", e.Step, e.Steps, StepText(e)))
	case e.Kind != lab.EventSave || p.console == nil:
		p.note(EventText(e))
	}
}

func (p *Prompt) stop(ctx context.Context, a arguments) error {
	found, done, err := p.running(ctx)
	if err != nil {
		return fmt.Errorf("stop: %w", err)
	}
	defer done()
	run := strings.Join(a.words, "")
	if run == "" {
		status, err := found.Status(ctx)
		if err != nil {
			return err
		}
		training, ok := status.Training()
		if !ok {
			return errors.New("stop: nothing is being trained")
		}
		run = training.Folder
	}
	ended, err := found.StopTraining(ctx, run)
	if err != nil {
		return err
	}
	p.setRun(ended.Folder)
	text, err := EndText(ended)
	if err != nil {
		return err
	}
	fmt.Fprintln(p.out, text)
	return nil
}

func (p *Prompt) compare(_ context.Context, a arguments) error {
	comparison, err := lab.CompareRuns(a.words)
	if err != nil {
		return err
	}
	return comparison.Table().Write(p.out)
}

func (p *Prompt) session(ctx context.Context, _ arguments) error {
	found, done, err := p.running(ctx)
	if errors.Is(err, lab.ErrNoSession) {
		fmt.Fprintln(p.out, OneLine(err)+"; train, sample and chat start one")
		return nil
	}
	if err != nil {
		return err
	}
	defer done()
	status, err := found.Status(ctx)
	if err != nil {
		return err
	}
	return WriteStatus(p.out, status)
}
