package lab

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime/metrics"
	"slices"
	"strings"
	"sync"

	"tandem/workbench/generate"
	"tandem/workbench/session"
	"tandem/xla"
)

// local is a workbench in this process: one device, opened when it is first needed, loaded runs, conversations and
// trainings.
type local struct {
	say    func(string)
	ctx    context.Context // of trainings and answers
	cancel context.CancelCauseFunc
	calls  sync.WaitGroup // calls that use the device

	// loading is held while the device is opened and runs are loaded or freed.
	loading sync.Mutex

	// mu guards what follows, and is never held for long.
	mu            sync.Mutex
	closed        bool
	device        *xla.Device
	asked         string // the name that device was opened by
	loaded        map[string]*loadedRun
	conversations map[conversationKey]*conversation
	lent          lent
	trainings     []*sessionTraining // newest first
	answered      int
	loadSeconds   float64
	savedSeconds  float64
}

// NewWorkbench makes a workbench that works in this process. say is told of checkpoints that are skipped and the like.
// Close it.
func NewWorkbench(say func(string)) session.Workbench {
	ctx, cancel := context.WithCancelCause(context.Background())
	return &local{
		say: say, ctx: ctx, cancel: cancel, loaded: map[string]*loadedRun{}, conversations: map[conversationKey]*conversation{},
		lent: lent{states: map[string]*generate.Snapshot{}},
	}
}

// errClosing is the cause of contexts that end because the workbench is closed.
var errClosing = errors.New("the session was stopped")

// begin counts a call in, and gives it a context that also ends when the workbench is closed.
func (l *local) begin(ctx context.Context) (context.Context, func(), error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, nil, errClosing
	}
	l.calls.Add(1)
	ctx, cancel := context.WithCancelCause(ctx)
	unlink := context.AfterFunc(l.ctx, func() { cancel(context.Cause(l.ctx)) })
	return ctx, func() {
		unlink()
		cancel(nil)
		l.calls.Done()
	}, nil
}

// explained tells an end of the workbench from one of the caller.
func explained(ctx context.Context, err error) error {
	if err != nil && errors.Is(context.Cause(ctx), errClosing) {
		return errClosing
	}
	return err
}

// opened is the device, which is opened now if it was not. l.loading must be held.
func (l *local) opened(backend string) (*xla.Device, error) {
	if backend == "" {
		backend = "auto"
	}
	if d := l.device; d != nil {
		if backend == "auto" || slices.Contains([]string{l.asked, d.Kind, d.Config}, backend) {
			return d, nil
		}
		return nil, fmt.Errorf("backend %q: the session has one device, and opened %s; ask for that or for auto, or stop the session first", backend, d.Config)
	}
	device, err := xla.Open(backend)
	if err != nil {
		return nil, err
	}
	l.say(device.Summary())
	l.mu.Lock()
	defer l.mu.Unlock()
	l.device, l.asked = device, backend
	return device, nil
}

// Status implements session.Workbench.
func (l *local) Status(context.Context) (session.Status, error) {
	host := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(host)
	l.mu.Lock()
	defer l.mu.Unlock()
	status := session.Status{
		HostBytes: int64(host[0].Value.Uint64() - host[1].Value.Uint64()), Models: []session.Model{}, Trainings: []session.Training{},
		Calls: l.answered, LoadSeconds: l.loadSeconds, CompileSeconds: xla.CompileTime().Seconds(), SavedSeconds: l.savedSeconds,
	}
	if l.device != nil {
		status.Device = l.device.Description()
	}
	for _, r := range l.loaded {
		status.Models = append(status.Models, l.describe(r))
	}
	slices.SortFunc(status.Models, func(a, b session.Model) int { return strings.Compare(a.Folder, b.Folder) })
	for _, t := range l.trainings {
		status.Trainings = append(status.Trainings, t.Training())
	}
	return status, nil
}

// Close implements session.Workbench.
func (l *local) Close() error {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.cancel(errClosing)
	l.calls.Wait()
	l.loading.Lock()
	defer l.loading.Unlock()
	for _, r := range l.loaded {
		l.free(r)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.device != nil {
		l.device.Finalize()
		l.device = nil
	}
	return nil
}

// absolute is a folder's path, or the folder itself where the working directory is gone.
func absolute(folder string) string {
	if path, err := filepath.Abs(folder); err == nil {
		return path
	}
	return folder
}
