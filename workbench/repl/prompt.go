package repl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"tandem/workbench/lab"
)

// Options say what a prompt works with.
type Options struct {
	// Attach reaches the workbench that trains and answers, starting a session if need be; say is told of that.
	Attach func(ctx context.Context, say func(string)) (lab.Workbench, error)
	// Running reaches the session that is running already; without one the error is lab.ErrNoSession.
	Running func(ctx context.Context, say func(string)) (lab.Workbench, error)
	// Out gets results, Notes what is said beside them.
	Out, Notes io.Writer
}

// Prompt is the workbench's verbs over what they work on: the settings, the current run and the session. It is used by one
// goroutine.
type Prompt struct {
	options  Options
	console  *console  // nil without a terminal
	out      io.Writer // these two are options', or the console
	notes    io.Writer
	settings settings
	run      string        // the current run, by name or folder; "" is the newest
	bench    lab.Workbench // once it was needed
	talk     *Talk         // with the current run, once there was a chat
	chatting bool          // lines are messages
}

// New makes a prompt with the default settings.
func New(o Options) *Prompt { return &Prompt{options: o, out: o.Out, notes: o.Notes} }

// Greet says what there is: the model, and what the session does.
func (p *Prompt) Greet(ctx context.Context) error {
	p.note("help lists the verbs, Tab completes, Ctrl-D leaves")
	if err := p.describe(p.notes); err != nil {
		return err
	}
	found, done, err := p.running(ctx)
	if err != nil {
		p.note(OneLine(err))
		return nil
	}
	defer done()
	status, err := found.Status(ctx)
	if err != nil {
		return err
	}
	doing := "the session is idle"
	if training, ok := status.Training(); ok {
		doing = fmt.Sprintf("the session is training %s, at step %d of %d; watch shows it", training.Run, training.Step, training.Steps)
	}
	p.note(doing)
	return nil
}

// Line does what a line says: a verb and its arguments. A line that begins with # says nothing.
func (p *Prompt) Line(ctx context.Context, line string) error {
	if p.chatting {
		err := p.talk.Line(ctx, line)
		if errors.Is(err, errQuit) {
			p.chatting = false
			return nil
		}
		return err
	}
	if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
		return nil
	}
	name, rest := line, ""
	if at := strings.IndexAny(line, " \t"); at >= 0 {
		name, rest = line[:at], line[at+1:]
	}
	v, err := findVerb(name)
	if err != nil {
		return err
	}
	a, err := v.parse(rest)
	if err != nil {
		return fmt.Errorf("%s: %w", v.name, err)
	}
	return v.run(p, ctx, a)
}

// answerTime is how long leaving waits for the session to say what it does.
const answerTime = 5 * time.Second

// Close lets go: a training goes on in its session. Without a session it is stopped, with a checkpoint.
func (p *Prompt) Close() error {
	p.console, p.out, p.notes = nil, p.options.Out, p.options.Notes // a terminal is no longer ours
	if p.talk != nil {
		p.talk.Session.Close()
	}
	if p.bench == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), answerTime)
	defer cancel()
	if status, err := p.bench.Status(ctx); err == nil {
		if training, ok := status.Training(); ok && status.Process != nil {
			p.note(fmt.Sprintf("%s goes on in the session", training.Run))
		} else if ok {
			p.note(fmt.Sprintf("stopping %s, with a checkpoint", training.Run))
		}
	}
	return p.bench.Close()
}

func (p *Prompt) prompt() string {
	if p.chatting {
		return p.talk.Run + "> "
	}
	return "workbench> "
}

// end is Ctrl-D, which leaves a chat first.
func (p *Prompt) end() bool {
	was := p.chatting
	p.chatting = false
	return !was
}

func (p *Prompt) show(c *console) {
	p.console, p.out, p.notes = c, c, c
	if p.talk != nil {
		p.talk.show(c)
	}
}

func (p *Prompt) note(line string) { fmt.Fprintln(p.notes, line) }

// attached reaches the workbench, the first time it is needed.
func (p *Prompt) attached(ctx context.Context) (lab.Workbench, error) {
	if p.bench == nil {
		bench, err := p.options.Attach(ctx, p.note)
		if err != nil {
			return nil, err
		}
		p.bench = bench
	}
	return p.bench, nil
}

// running reaches the workbench without starting a session. done must be called after its use.
func (p *Prompt) running(ctx context.Context) (found lab.Workbench, done func(), err error) {
	if p.bench != nil {
		return p.bench, func() {}, nil
	}
	if found, err = p.options.Running(ctx, p.note); err != nil {
		return nil, nil, err
	}
	return found, func() { found.Close() }, nil
}
