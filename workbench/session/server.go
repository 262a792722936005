package session

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/gofrs/flock"
)

// ServeOptions say where and how long to serve.
type ServeOptions struct {
	// Runs is the runs folder.
	Runs string
	// Build names the code that is running; a client of another one is told.
	Build string
	// Idle is the time without work after which the session stops; 0 is DefaultIdle, negative is never.
	Idle time.Duration
	// Log is told in words what happens; nil drops it.
	Log func(line string)
}

// DefaultIdle is the time without work after which a session stops.
const DefaultIdle = 30 * time.Minute

// ErrServed means that another process serves the folder already.
var ErrServed = errors.New("there is a session already")

// server is a running session.
type server struct {
	workbench Workbench
	options   ServeOptions
	place     place
	lock      *flock.Flock
	stop      chan string // why to stop

	mu       sync.Mutex
	state    state
	active   int // requests that are work
	lastWork time.Time
	stopping bool
}

// Serve serves a workbench until ctx ends, a client shuts it down or it has been idle; then it closes the workbench. It
// returns ErrServed, and leaves the workbench open, where another process serves the folder.
func Serve(ctx context.Context, w Workbench, o ServeOptions) error {
	if o.Log == nil {
		o.Log = func(string) {}
	}
	if o.Idle == 0 {
		o.Idle = DefaultIdle
	}
	p, err := placeIn(o.Runs)
	if err != nil {
		return err
	}
	if err := p.make(); err != nil {
		return err
	}
	s := &server{workbench: w, options: o, place: p, lock: flock.New(p.file(serveLock)), stop: make(chan string, 1), lastWork: time.Now()}
	taken, err := s.lock.TryLock()
	if err != nil {
		return fmt.Errorf("serve a session: lock %s: %w", s.lock.Path(), err)
	}
	if !taken {
		return fmt.Errorf("serve a session in %s: %w", p.runs(), ErrServed)
	}
	defer s.lock.Unlock()
	listener, err := s.open()
	if err != nil {
		return fmt.Errorf("serve a session: %w", err)
	}
	return s.run(ctx, listener)
}

// open takes over the folder, which the lock allows: it finds out how the last session ended, removes its socket, and
// listens.
func (s *server) open() (net.Listener, error) {
	s.state.Process = Process{
		PID: os.Getpid(), Started: time.Now().UTC(), Build: s.options.Build, Folder: s.place.runs(), Log: s.place.file(logFile),
		IdleSeconds: max(0, s.options.Idle.Seconds()), Previous: s.place.death(),
	}
	if s.state.Previous != "" {
		s.options.Log(s.state.Previous)
	}
	if s.place.logSize() > maxLog {
		os.Truncate(s.place.file(logFile), 0) // a longer log costs nothing but room
	}
	s.state.LogBegin = s.place.logSize()
	if err := os.Remove(s.place.file(socketFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("remove the last session's socket: %w", err)
	}
	var listener net.Listener
	err := s.place.reach(func(path string) (err error) {
		listener, err = net.Listen("unix", path)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	listener.(*net.UnixListener).SetUnlinkOnClose(false) // it may know the socket by a path that is gone
	if err = os.Chmod(s.place.file(socketFile), 0o600); err == nil {
		err = s.place.writeState(s.state)
	}
	if err != nil {
		listener.Close()
		return nil, err
	}
	return listener, nil
}

// run serves until there is a reason to stop.
func (s *server) run(ctx context.Context, listener net.Listener) error {
	base, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	web := &http.Server{
		Handler:     s.handler(),
		BaseContext: func(net.Listener) context.Context { return base },
		ErrorLog:    log.New(logWriter(s.options.Log), "", 0),
	}
	failed := make(chan error, 1)
	go func() { failed <- web.Serve(listener) }()
	s.options.Log(fmt.Sprintf("session of process %d serves %s", os.Getpid(), s.place.runs()))
	reason, err := s.wait(ctx, failed)
	s.options.Log("session stops: " + reason)

	s.mu.Lock()
	s.stopping = true
	s.mu.Unlock()
	// The socket goes first, so that who comes now starts a new session, which the lock keeps waiting.
	os.Remove(s.place.file(socketFile))
	closing := s.workbench.Close() // ends trainings, so that those who watch see it
	grace, done := context.WithTimeout(base, 2*time.Second)
	defer done()
	if web.Shutdown(grace) != nil {
		cancel()
		web.Close()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.Trainings, s.state.Ended, s.state.Reason = nil, time.Now().UTC(), reason
	return errors.Join(err, closing, s.place.writeState(s.state))
}

// wait returns why the session stops.
func (s *server) wait(ctx context.Context, failed <-chan error) (reason string, err error) {
	every := time.Second
	if s.options.Idle > 0 {
		every = min(every, max(s.options.Idle/10, time.Millisecond))
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return "it was interrupted", nil
		case reason := <-s.stop:
			return reason, nil
		case err := <-failed:
			return "it cannot listen", fmt.Errorf("serve a session: %w", err)
		case <-ticker.C:
			if s.idle(ctx) {
				return fmt.Sprintf("it was idle for %s", s.options.Idle), nil
			}
		}
	}
}

// idle notes which runs are trained, and says whether there was no work for long enough; then no more is taken.
func (s *server) idle(ctx context.Context) bool {
	training := s.noteTrainings(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if training || s.active > 0 {
		s.lastWork = time.Now()
	}
	s.stopping = s.stopping || (s.options.Idle > 0 && time.Since(s.lastWork) >= s.options.Idle)
	return s.stopping
}

// noteTrainings writes into the state which runs are trained, for after a crash, and says whether there are any.
func (s *server) noteTrainings(ctx context.Context) bool {
	status, err := s.workbench.Status(ctx)
	if err != nil {
		return false
	}
	var runs []string
	for _, training := range status.Trainings {
		if training.State == Running {
			runs = append(runs, training.Run)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.Equal(runs, s.state.Trainings) {
		return len(runs) > 0
	}
	s.state.Trainings = runs
	if err := s.place.writeState(s.state); err != nil {
		s.options.Log(err.Error())
	}
	return len(runs) > 0
}
