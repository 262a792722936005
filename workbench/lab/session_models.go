package lab

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/gomlx/gomlx/core/tensors"

	"tandem/models"
	"tandem/workbench/chat"
	"tandem/workbench/checkpoint"
	"tandem/workbench/generate"
	"tandem/workbench/session"
	"tandem/workbench/tokenizer"
)

// keptRuns is how many loaded runs are kept, those in use beside.
const keptRuns = 3

// loadedRun is a run whose weights are on the device. local.mu guards the fields below the blank line.
type loadedRun struct {
	run     *Run
	model   *models.Model
	engine  *generate.Engine
	chat    *chat.Model
	weights []*tensors.Tensor
	newest  int // the step of the newest checkpoint when it was loaded; that may have been damaged

	step        int
	loadSeconds float64
	users       int
	used        time.Time
}

// acquire loads a run, or finds it loaded, for a caller who must call release. A loaded run whose newest checkpoint has
// become another is given that one's weights, unless it is answering; its compiled programs stay. seconds is what this
// took, if anything was loaded.
func (l *local) acquire(r session.ModelRequest) (found *loadedRun, seconds float64, err error) {
	started := time.Now()
	l.loading.Lock()
	defer l.loading.Unlock()
	run, err := OpenRun(r.Run)
	if err != nil {
		return nil, 0, err
	}
	if _, err := l.opened(r.Backend); err != nil {
		return nil, 0, err
	}
	valid, _, err := checkpoint.List(run.Folder)
	if err != nil {
		return nil, 0, err
	}
	newest := -1
	if len(valid) > 0 {
		newest = valid[0].Step
	}
	key := absolute(run.Folder)
	found, fresh := l.loaded[key], false
	switch {
	case found != nil && !found.run.Info.Created.Equal(run.Info.Created): // another run has its name now
		if err := l.dismiss(found); err != nil {
			return nil, 0, err
		}
		found = nil
	case found != nil && found.newest != newest && l.usersOf(found) == 0:
		if err := l.renew(found, newest); err != nil {
			return nil, 0, err
		}
		fresh = true
	}
	if found == nil {
		l.makeRoom()
		if found, err = l.load(run, newest); err != nil {
			return nil, 0, fmt.Errorf("load %s: %w", run.Name, err)
		}
		fresh = true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if fresh {
		seconds = time.Since(started).Seconds()
		found.loadSeconds = seconds
		l.loadSeconds += seconds
	}
	l.loaded[key] = found
	found.users++
	return found, seconds, nil
}

// release ends what acquire began.
func (l *local) release(r *loadedRun) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r.users--
	r.used = time.Now()
}

func (l *local) usersOf(r *loadedRun) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return r.users
}

// load puts a run on the device, ready to answer.
func (l *local) load(run *Run, newest int) (*loadedRun, error) {
	tok, err := run.Tokenizer()
	if err != nil {
		return nil, err
	}
	model, err := run.Model()
	if err != nil {
		return nil, err
	}
	r := &loadedRun{run: run, model: model, newest: newest}
	if r.weights, r.step, err = l.weightsOf(r); err != nil {
		return nil, err
	}
	if err = r.open(l, tok); err != nil {
		freeTensors(r.weights)
		return nil, err
	}
	return r, nil
}

// open makes the engine and what answers.
func (r *loadedRun) open(l *local, tok *tokenizer.Tokenizer) (err error) {
	// The engine's queue has no limit: only this user's clients call.
	if r.engine, err = generate.New(l.device, r.model, r.weights, generate.Options{Queue: math.MaxInt32}); err != nil {
		return err
	}
	if r.chat, err = chat.NewModel(chat.Over(r.engine), tok); err != nil {
		r.engine.Close()
	}
	return err
}

// weightsOf reads the newest valid checkpoint and says which step it is of.
func (l *local) weightsOf(r *loadedRun) (weights []*tensors.Tensor, step int, err error) {
	weights, entry, skipped, err := newestWeights(r.run, r.model, l.device)
	for _, bad := range skipped {
		l.say("skipped checkpoint " + bad.String())
	}
	return weights, entry.Step, err
}

// renew gives a loaded run that nobody uses the weights of its newest checkpoint.
func (l *local) renew(r *loadedRun, newest int) error {
	weights, step, err := l.weightsOf(r)
	if err != nil {
		return fmt.Errorf("load %s: %w", r.run.Name, err)
	}
	if err := r.engine.SetWeights(weights); err != nil {
		freeTensors(weights)
		return fmt.Errorf("load %s: %w", r.run.Name, err)
	}
	freeTensors(r.weights)
	l.mu.Lock()
	defer l.mu.Unlock()
	r.weights, r.step, r.newest = weights, step, newest
	return nil
}

// makeRoom frees the runs unused longest, so that one more may be loaded.
func (l *local) makeRoom() {
	for {
		l.mu.Lock()
		var oldest *loadedRun
		for _, r := range l.loaded {
			if r.users == 0 && (oldest == nil || r.used.Before(oldest.used)) {
				oldest = r
			}
		}
		enough := len(l.loaded) < keptRuns || oldest == nil
		l.mu.Unlock()
		if enough {
			return
		}
		l.free(oldest)
	}
}

// dismiss frees a loaded run, unless it is in use.
func (l *local) dismiss(r *loadedRun) error {
	if users := l.usersOf(r); users > 0 {
		return fmt.Errorf("free %s: it is answering %d calls; wait for them", r.run.Name, users)
	}
	l.free(r)
	return nil
}

// free takes a run off the device. Its conversations stay, without their states.
func (l *local) free(r *loadedRun) {
	l.mu.Lock()
	delete(l.loaded, absolute(r.run.Folder))
	for key, c := range l.conversations {
		if key.folder == absolute(r.run.Folder) {
			c.detach()
		}
	}
	l.mu.Unlock()
	r.engine.Close()
	freeTensors(r.weights)
}

func freeTensors(list []*tensors.Tensor) {
	for _, tensor := range list {
		tensor.FinalizeAll() // an error would say that it was freed before
	}
}

// Load implements session.Workbench.
func (l *local) Load(ctx context.Context, r session.ModelRequest) (session.Model, error) {
	_, done, err := l.begin(ctx)
	if err != nil {
		return session.Model{}, err
	}
	defer done()
	found, _, err := l.acquire(r)
	if err != nil {
		return session.Model{}, err
	}
	defer l.release(found)
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.describe(found), nil
}

// Unload implements session.Workbench.
func (l *local) Unload(_ context.Context, name string) error {
	l.loading.Lock()
	defer l.loading.Unlock()
	run, err := OpenRun(name)
	if err != nil {
		return err
	}
	l.mu.Lock()
	found := l.loaded[absolute(run.Folder)]
	l.mu.Unlock()
	if found == nil {
		return fmt.Errorf("unload %s: it is not loaded", run.Name)
	}
	return l.dismiss(found)
}

// describe says what is known of a loaded run. l.mu must be held.
func (l *local) describe(r *loadedRun) session.Model {
	conversations := 0
	for key := range l.conversations {
		if key.folder == absolute(r.run.Folder) {
			conversations++
		}
	}
	var bytes int64
	for _, weight := range r.model.Weights() {
		bytes += int64(shapeOf(weight).ByteSize())
	}
	info := r.run.Info
	return session.Model{
		Run: r.run.Name, Folder: absolute(r.run.Folder), Step: r.step, Pattern: info.Pattern, Parameters: r.model.Parameters(),
		Context: r.model.Config.Context, Tuned: r.run.Tuned(), WeightBytes: bytes, StateBytes: r.engine.StateBytes(),
		RowBytes: r.engine.RowBytes(), TokenBytes: tokenBytes(r.model, l.device), Rows: r.engine.Options().Rows, Conversations: conversations, Answering: r.users, Used: r.used, LoadSeconds: r.loadSeconds,
		CompileSeconds: r.engine.CompileTime().Seconds(),
	}
}
