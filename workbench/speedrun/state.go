package speedrun

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"tandem/workbench/lab"
	"tandem/workbench/runlog"
)

// The files of a speedrun's folder. It is no run: those are beside it.
const (
	speedrunFile   = "speedrun.json"
	reportJSON     = "report.json"
	reportMarkdown = "report.md"
)

// saved is speedrun.json.
type saved struct {
	// Hash is the wish's. A folder belongs to one wish.
	Hash   string            `json:"hash"`
	Wish   Wish              `json:"wish"`
	Plan   Plan              `json:"plan"`
	Stages map[string]*Stage `json:"stages"`
}

// Stage is how far a stage is.
type Stage struct {
	Begun bool `json:"begun"`
	Done  bool `json:"done"`
	// Seconds is the time of all attempts but those that were killed.
	Seconds float64 `json:"seconds"`
}

// speedrun is one that is being made.
type speedrun struct {
	options Options
	folder  string
	state   saved
	lock    *runlog.Lock
}

// open takes up a speedrun, or plans one and makes its folder.
func open(ctx context.Context, o Options) (s *speedrun, err error) {
	p, err := o.planner()
	if err != nil {
		return nil, err
	}
	s = &speedrun{options: o, folder: lab.RunFolder(p.plan.Name)}
	state, err := readState(s.folder)
	switch {
	case err != nil:
		return nil, err
	case state != nil && state.Hash != o.hash():
		return nil, state.refuse(o.Wish)
	case state != nil:
		o.Planned(state.Plan)
		return s, s.take()
	case p.elsewhere:
		return nil, fmt.Errorf("speedrun: gpu %q is not this machine's, whose backend is %s: that can only be planned; add --dry-run, or leave --gpu out", o.GPU, p.here)
	}
	plan, err := p.make(ctx)
	if err != nil {
		return nil, err
	}
	o.Planned(plan)
	for _, folder := range []string{plan.Name, plan.Base, plan.Tuned} {
		if err := unused(lab.RunFolder(folder)); err != nil {
			return nil, err
		}
	}
	if err := os.MkdirAll(s.folder, 0o755); err != nil {
		return nil, fmt.Errorf("make folder of speedrun: %w", err)
	}
	s.state = saved{Hash: o.hash(), Wish: o.Wish, Plan: plan, Stages: map[string]*Stage{}}
	for _, stage := range Stages {
		s.state.Stages[stage] = &Stage{}
	}
	if s.lock, err = s.lockFolder(); err != nil {
		return nil, err
	}
	if err := s.save(); err != nil {
		s.lock.Release()
		return nil, err
	}
	return s, nil
}

// take locks a speedrun that has begun and reads how far it is.
func (s *speedrun) take() (err error) {
	if s.lock, err = s.lockFolder(); err != nil {
		return err
	}
	state, err := readState(s.folder) // another process may have gone on with it before the lock was taken
	if err == nil && state == nil {
		err = fmt.Errorf("speedrun: %s is gone; start it again", filepath.Join(s.folder, speedrunFile))
	}
	if err != nil {
		s.lock.Release()
		return err
	}
	s.state = *state
	return nil
}

func (s *speedrun) lockFolder() (*runlog.Lock, error) {
	return runlog.TakeLock(s.folder, s.options.Command)
}

// unused refuses a folder that holds anything but what a speedrun leaves that was killed before it had a plan.
func unused(folder string) error {
	entries, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("speedrun: %w", err)
	}
	if slices.ContainsFunc(entries, func(e os.DirEntry) bool { return e.Name() != runlog.LockFile && e.Name() != speedrunFile+partSuffix }) {
		return fmt.Errorf("speedrun: %s exists and is not of this speedrun; choose another --run NAME", folder)
	}
	return nil
}

// readState reads speedrun.json; nil if there is none.
func readState(folder string) (*saved, error) {
	path := filepath.Join(folder, speedrunFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(filepath.Join(folder, runlog.RunFile)); err == nil {
			return nil, fmt.Errorf("speedrun: %s is a run of its own; choose another --run NAME", folder)
		}
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read speedrun: %w", err)
	}
	var state saved
	if err := json.Unmarshal(text, &state); err != nil {
		return nil, fmt.Errorf("read speedrun %s: %w; restore it, or choose another --run NAME", path, err)
	}
	for _, stage := range Stages {
		if state.Stages[stage] == nil {
			return nil, fmt.Errorf("read speedrun %s: it has no stage %s; restore it, or choose another --run NAME", path, stage)
		}
	}
	return &state, nil
}

func (s *speedrun) save() error { return writeJSON(filepath.Join(s.folder, speedrunFile), s.state) }

// hash tells wishes apart.
func (w Wish) hash() string {
	text, _ := json.Marshal(w) // strings and numbers always encode
	return fmt.Sprintf("%x", sha256.Sum256(text))
}

// refuse is the error of another wish under the name of this one.
func (s saved) refuse(wish Wish) error {
	was, is := s.Wish.named(), wish.named()
	var changes []string
	for _, key := range slices.Sorted(maps.Keys(was)) {
		if is[key] != was[key] {
			changes = append(changes, fmt.Sprintf("%s was %s and is now %s", key, orNone(was[key]), orNone(is[key])))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(is)) {
		if _, both := was[key]; !both {
			changes = append(changes, fmt.Sprintf("%s was not given and is now %s", key, is[key]))
		}
	}
	return fmt.Errorf("speedrun %s: the plan has changed: %s; choose another --run NAME for it", s.Plan.Name, strings.Join(changes, ", "))
}

func orNone(value string) string {
	if value == "" {
		return "not given"
	}
	return value
}

// named lists what was wished by name, overrides by their keys.
func (w Wish) named() map[string]string {
	values := map[string]string{}
	for _, pair := range w.Overrides {
		key, value, _ := strings.Cut(pair, "=")
		values[key] = value
	}
	w.Overrides = nil
	var fields map[string]any
	text, _ := json.Marshal(w) // as above
	_ = json.Unmarshal(text, &fields)
	for key, value := range fields {
		values[key] = fmt.Sprint(value)
	}
	return values
}

// partSuffix ends the name of a file that is not whole yet.
const partSuffix = ".part"

// writeJSON writes an indented value; the file is replaced at once.
func writeJSON(path string, value any) error {
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return writeWhole(path, append(text, '\n'))
}

// writeWhole writes a file that is there as a whole or as it was before, whenever the process ends.
func writeWhole(path string, text []byte) (err error) {
	file, err := os.Create(path + partSuffix)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = file.Write(text)
	err = errors.Join(err, file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(path+partSuffix, path)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
