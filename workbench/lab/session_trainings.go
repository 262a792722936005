package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"tandem/workbench/config"
	"tandem/workbench/runlog"
	"tandem/workbench/session"
	"tandem/xla"
)

// keptTrainings is how many trainings that ended are remembered.
const keptTrainings = 16

// Train implements session.Workbench.
func (l *local) Train(ctx context.Context, r session.TrainRequest) (session.Training, error) {
	c, resume, err := plannedTraining(r)
	if err != nil {
		return session.Training{}, err
	}
	t, err := l.enter(ctx, c, resume, r.Wait)
	if err != nil {
		return session.Training{}, err
	}
	if err := l.launch(t, c, TrainOptions{Resume: resume, Command: r.Command}); err != nil {
		t.cancel()
		t.finish(nil, err)
		l.calls.Done()
		return session.Training{}, err
	}
	return t.Training(), nil
}

// plannedTraining reads a request: the configuration, and the run to resume.
func plannedTraining(r session.TrainRequest) (c *config.Config, resume *Run, err error) {
	if r.Resume != "" {
		if resume, err = OpenRun(r.Resume); err != nil {
			return nil, nil, err
		}
		c = resume.Info.Config
	}
	if len(r.Config) > 0 {
		c = &config.Config{}
		if err := json.Unmarshal(r.Config, c); err != nil {
			return nil, nil, fmt.Errorf("train: the configuration is not understood: %w", err)
		}
	}
	if c == nil {
		return nil, nil, errors.New("train: there is no configuration; give one, or a run to resume")
	}
	if err := c.Validate(); err != nil {
		return nil, nil, fmt.Errorf("train: %w", err)
	}
	if resume != nil { // refused now rather than when the caller is gone
		if err := keepsModel(resume, c.Model); err != nil {
			return nil, nil, err
		}
		lock, err := runlog.TakeLock(resume.Folder, r.Command)
		lock.Release()
		return c, resume, err
	}
	if c.Run == "" {
		c.Run = freeName(c.Name)
	}
	return c, nil, checkNew(c.Run)
}

// freeName is the first of NAME-001, NAME-002, … that is no run.
func freeName(base string) string {
	if base == "" {
		base = "run"
	}
	for i := 1; ; i++ {
		name := fmt.Sprintf("%s-%03d", base, i)
		if _, err := os.Stat(RunFolder(name)); err != nil {
			return name
		}
	}
}

// enter puts a training into the list as the running one; with wait it first waits for the one that is.
func (l *local) enter(ctx context.Context, c *config.Config, resume *Run, wait bool) (*sessionTraining, error) {
	name, folder := filepath.Base(RunFolder(c.Run)), RunFolder(c.Run)
	if resume != nil {
		name, folder = resume.Name, resume.Folder
	}
	t := newSessionTraining(name, absolute(folder), c)
	for {
		running, err := l.tryEnter(t)
		switch {
		case err != nil:
			return nil, err
		case running == nil:
			return t, nil
		case !wait:
			now := running.Training()
			return nil, fmt.Errorf("train %s: the session is training %s, at step %d of %d, and trains one run at a time; wait for it, or stop it with: workbench session stop %s",
				name, now.Run, now.Step, now.Steps, Reference(now.Run, now.Folder))
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-running.done:
		}
	}
}

// tryEnter enters a training, or says which one is running.
func (l *local) tryEnter(t *sessionTraining) (running *sessionTraining, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, errClosing
	}
	if len(l.trainings) > 0 && !l.trainings[0].ended() {
		return l.trainings[0], nil
	}
	l.calls.Add(1)
	t.ctx, t.cancel = context.WithCancel(l.ctx)
	l.trainings = slices.Insert(l.trainings, 0, t)
	l.trainings = l.trainings[:min(len(l.trainings), keptTrainings)]
	return nil, nil
}

// launch trains in the background.
func (l *local) launch(t *sessionTraining, c *config.Config, o TrainOptions) (err error) {
	l.loading.Lock()
	o.Device, err = l.opened(c.Backend)
	l.loading.Unlock()
	if err != nil {
		return err
	}
	if o.Resume != nil {
		records, err := o.Resume.metrics()
		if err != nil {
			return err
		}
		t.replay(records)
	}
	o.Say, o.Report = t.note, t.report
	go func() {
		defer l.calls.Done()
		defer t.cancel()
		var result *TrainResult
		err := xla.Try(func() (err error) {
			result, err = TrainConfig(t.ctx, c, o)
			return err
		})
		if err != nil {
			l.say(strings.TrimSpace(fmt.Sprintf("training %s ended: %v\n%s", t.name, err, Stack(err))))
		}
		t.finish(result, err)
	}()
	return nil
}

// StopTraining implements session.Workbench.
func (l *local) StopTraining(ctx context.Context, name string) (session.Training, error) {
	t := l.trainingOf(name)
	if t == nil || t.ended() {
		return session.Training{}, fmt.Errorf("stop %s: it is not being trained by this session; %s", orNewest(name), l.runningWords())
	}
	t.cancel()
	select {
	case <-ctx.Done():
		return t.Training(), ctx.Err()
	case <-t.done:
		return t.Training(), nil
	}
}

func orNewest(name string) string {
	if name == "" {
		return "the training"
	}
	return name
}

// runningWords says what is being trained, for errors.
func (l *local) runningWords() string {
	if t := l.trainingOf(""); t != nil && !t.ended() {
		return "that is " + t.name
	}
	return "no run is"
}

// trainingOf finds the newest training of a run; "" is the newest of all.
func (l *local) trainingOf(name string) *sessionTraining {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, t := range l.trainings {
		if name == "" || t.folder == absolute(RunFolder(name)) {
			return t
		}
	}
	return nil
}

// Watch implements session.Workbench.
func (l *local) Watch(ctx context.Context, name string) iter.Seq2[session.Event, error] {
	t := l.trainingOf(name)
	if t != nil {
		return t.watch(ctx)
	}
	return func(yield func(session.Event, error) bool) {
		run, err := OpenRun(name)
		if err != nil {
			yield(session.Event{}, err)
			return
		}
		records, err := run.metrics()
		if err != nil {
			yield(session.Event{}, err)
			return
		}
		t := newSessionTraining(run.Name, absolute(run.Folder), run.Info.Config)
		t.replay(records)
		t.end(session.Ended, otherWriter(run))
		t.watch(ctx)(yield)
	}
}

// otherWriter says who else is writing a run; "" if nobody is.
func otherWriter(run *Run) string {
	writer := runlog.WriterOf(run.Folder)
	if writer == "" {
		return ""
	}
	return fmt.Sprintf("%s is being written by %s; this is what it wrote so far", run.Name, writer)
}
