package session

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/gofrs/flock"
)

// ErrNone means that no session serves the folder.
var ErrNone = errors.New("no session is running")

// Dial attaches to the session of a runs folder. Without one the error is ErrNone, and says how the last one died if it
// did. build names the caller's code; "" does not compare it.
func Dial(ctx context.Context, runs, build string) (*Client, error) {
	p, err := placeIn(runs)
	if err != nil {
		return nil, err
	}
	c, err := greet(ctx, p, http.MethodGet, build)
	if errors.Is(err, ErrNone) && !p.served() {
		if death := p.death(); death != "" {
			return nil, fmt.Errorf("%w in %s: %s", ErrNone, p.runs(), death)
		}
	}
	return c, err
}

// greet asks a session who it is; a POST also tells it that there will be work.
func greet(ctx context.Context, p place, method, build string) (*Client, error) {
	c := newClient(p)
	request, err := http.NewRequestWithContext(ctx, method, "http://session"+pathHello, nil)
	if err != nil {
		return nil, err
	}
	response, err := c.http.Do(request)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) || hungUp(err) || (err != nil && !p.served()):
		return nil, fmt.Errorf("%w in %s", ErrNone, p.runs())
	case err != nil:
		return nil, fmt.Errorf("attach to the session in %s: %w", p.runs(), err)
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusServiceUnavailable { // it stops
		return nil, fmt.Errorf("%w in %s", ErrNone, p.runs())
	}
	var h hello
	if err := json.NewDecoder(response.Body).Decode(&h); err != nil {
		return nil, fmt.Errorf("attach to the session in %s: its answer is not understood: %w", p.runs(), err)
	}
	stop := "stop it with: workbench session stop"
	if h.Protocol != Protocol {
		return nil, fmt.Errorf("attach to the session in %s (process %d): it speaks version %d of the protocol and this program %d; %s, or: kill %d",
			p.runs(), h.PID, h.Protocol, Protocol, stop, h.PID)
	}
	c.process = h.Process
	if build != "" && h.Build != build {
		c.notices = append(c.notices, fmt.Sprintf("the session of process %d runs other code than this program (build %s, here %s); to use the new code %s",
			h.PID, h.Build, build, stop))
	}
	return c, nil
}

// hungUp says whether a session closed the connection before it answered, as one does that ends just then. Where it did so
// before the request was written, net/http has an error that it keeps to itself.
func hungUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
		err != nil && strings.HasSuffix(err.Error(), "http: server closed idle connection")
}

// Start says how to start a session.
type Start struct {
	// Command gives the program that serves, with its arguments. It is asked only if there is no session.
	Command func(ctx context.Context) ([]string, error)
	// Build names the caller's code, as ServeOptions.Build.
	Build string
	// Wait is how long to wait until it answers; 0 is a minute.
	Wait time.Duration
	// Say is told that a session is being started, and how the last one died; nil drops it.
	Say func(line string)
}

func (s Start) say(line string) {
	if s.Say != nil {
		s.Say(line)
	}
}

// pause is between two tries to reach a session that is being started.
const pause = 20 * time.Millisecond

// Ensure attaches to the session of a runs folder, starting one if there is none; its client starts another one when that
// is gone. The process belongs to no terminal, cell or kernel: it has its own process session, and writes to the log beside
// its socket. Its working directory and environment are the caller's.
func Ensure(ctx context.Context, runs string, start Start) (*Client, error) {
	p, err := placeIn(runs)
	if err != nil {
		return nil, err
	}
	c, err := greet(ctx, p, http.MethodPost, start.Build)
	if errors.Is(err, ErrNone) {
		c, err = p.start(ctx, start)
	}
	if err != nil {
		return nil, err
	}
	c.start = &start
	for _, notice := range c.notices {
		start.say(notice)
	}
	return c, nil
}

// start starts a session and waits until it answers.
func (p place) start(ctx context.Context, start Start) (*Client, error) {
	command, err := start.Command(ctx)
	if err != nil {
		return nil, err
	}
	if err := p.make(); err != nil {
		return nil, err
	}
	if start.Wait == 0 {
		start.Wait = time.Minute
	}
	start.say("starting a session in " + p.runs())
	child, began, deadline := (*child)(nil), p.logSize(), time.Now().Add(start.Wait)
	for {
		switch exited, err := child.exited(); {
		case err != nil:
			return nil, fmt.Errorf("start a session with %q: it ended: %w; %s", strings.Join(command, " "), err, p.logTail(began))
		case exited && !p.served(): // there was none yet, or it found another one there
			if child, err = p.spawn(command); err != nil {
				return nil, err
			}
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pause):
		}
		c, err := greet(ctx, p, http.MethodPost, start.Build)
		switch {
		case errors.Is(err, ErrNone):
		case err == nil && child.is(c.process.PID):
			if c.process.Previous != "" {
				c.notices = append(c.notices, c.process.Previous)
			}
			return c, nil
		default: // another one was faster
			child.kill()
			return c, err
		}
		if time.Now().After(deadline) {
			child.kill()
			return nil, fmt.Errorf("start a session with %q: it does not answer after %s%s; %s", strings.Join(command, " "), start.Wait, p.holder(), p.logTail(began))
		}
	}
}

// child is a session that this process started.
type child struct {
	process *os.Process
	ended   chan error
}

// spawn starts a session apart from this process.
func (p place) spawn(command []string) (*child, error) {
	log, err := os.OpenFile(p.file(logFile), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start a session: its log: %w", err)
	}
	defer log.Close()
	if _, err := fmt.Fprintf(log, "%s: process %d starts a session\n", time.Now().Format(time.DateTime), os.Getpid()); err != nil {
		return nil, fmt.Errorf("start a session: its log: %w", err) // a full disk is told here, not by a child that cannot
	}
	run := exec.Command(command[0], command[1:]...)
	run.Stdout, run.Stderr, run.SysProcAttr = log, log, detached()
	if err := run.Start(); err != nil {
		return nil, fmt.Errorf("start a session: %w", err)
	}
	c := &child{run.Process, make(chan error, 1)}
	go func() {
		c.ended <- run.Wait()
		close(c.ended)
	}()
	return c, nil
}

// exited says whether the child is not or no longer there; err is why it failed.
func (c *child) exited() (exited bool, err error) {
	if c == nil {
		return true, nil
	}
	select {
	case err := <-c.ended:
		return true, err
	default:
		return false, nil
	}
}

func (c *child) is(pid int) bool { return c != nil && c.process.Pid == pid }

// kill ends a child that does not do what it was started for.
func (c *child) kill() {
	if c != nil {
		c.process.Kill()
	}
}

// served says whether a process holds the folder's lock.
func (p place) served() bool {
	lock := flock.New(p.file(serveLock))
	taken, err := lock.TryLock()
	if taken {
		lock.Unlock()
	}
	return err == nil && !taken
}

// holder names the process that holds the lock, for errors; "" if none does.
func (p place) holder() string {
	last, err := p.readState()
	if err != nil || !p.served() {
		return ""
	}
	return fmt.Sprintf(", while process %d holds the folder (it may be saving checkpoints)", last.PID)
}

// waitUnserved waits until no process holds the folder's lock.
func (p place) waitUnserved(ctx context.Context) error {
	lock := flock.New(p.file(serveLock))
	if _, err := lock.TryLockContext(ctx, pause); err != nil {
		return err
	}
	return lock.Unlock()
}
