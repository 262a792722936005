package lab

import (
	"context"
	"fmt"
	"os"
	"time"

	"tandem/workbench/session"
)

// SessionVariable names the environment variable that, set to "off", makes Attach work in the calling process.
const SessionVariable = "TANDEM_SESSION"

// IdleVariable names the environment variable with the time without work after which a session stops, such as "2h" or
// "never".
const IdleVariable = "TANDEM_SESSION_IDLE"

// AttachOptions say how to reach a session.
type AttachOptions struct {
	// Program is the workbench's own executable; "" is one built from this module.
	Program string
	// Say is told in words what is being done, and what the user should know; nil drops it.
	Say func(string)
}

// Attach reaches the session of the runs folder, starting one if there is none. A session that died is told through Say,
// with what it was training. With TANDEM_SESSION=off the workbench works in this process instead. Close lets go: a
// session goes on.
func Attach(ctx context.Context, o AttachOptions) (session.Workbench, error) {
	if o.Say == nil {
		o.Say = func(string) {}
	}
	switch mode := os.Getenv(SessionVariable); mode {
	case "off":
		return NewWorkbench(o.Say), nil
	case "":
	default:
		return nil, fmt.Errorf("%s is %q; it may be off, or not set", SessionVariable, mode)
	}
	command := func(ctx context.Context) ([]string, error) {
		program := o.Program
		if program == "" {
			var err error
			if program, err = builtProgram(ctx, o.Say); err != nil {
				return nil, err
			}
		}
		return []string{program, "session", "serve"}, nil
	}
	found, err := session.Ensure(ctx, RunsFolder, session.Start{Command: command, Build: build(), Say: o.Say})
	if err != nil {
		return nil, err
	}
	return found, nil
}

// AttachRunning reaches the session of the runs folder if there is one; otherwise the error is session.ErrNone.
func AttachRunning(ctx context.Context, say func(string)) (*session.Client, error) {
	found, err := session.Dial(ctx, RunsFolder, build())
	if err != nil {
		return nil, err
	}
	for _, notice := range found.Notices() {
		say(notice)
	}
	return found, nil
}

// ServeSession serves the runs folder from this process until ctx ends, a client stops it, or it was idle; idle is "" for
// the environment's or half an hour, "never", or a duration such as "2h".
func ServeSession(ctx context.Context, idle string, say func(string)) error {
	if idle == "" {
		idle = os.Getenv(IdleVariable)
	}
	limit, err := idleTime(idle)
	if err != nil {
		return err
	}
	return session.Serve(ctx, NewWorkbench(say), session.ServeOptions{Runs: RunsFolder, Build: build(), Idle: limit, Log: say})
}

func idleTime(text string) (time.Duration, error) {
	switch text {
	case "":
		return session.DefaultIdle, nil
	case "never":
		return -1, nil
	}
	limit, err := time.ParseDuration(text)
	if err != nil || limit <= 0 {
		return 0, fmt.Errorf("idle time %q: must be a time such as 30m or 2h, or never", text)
	}
	return limit, nil
}
