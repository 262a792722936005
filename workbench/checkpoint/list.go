package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Entry is a checkpoint that List found.
type Entry struct {
	Dir  string
	Step int
}

// Skipped is a folder that should be a checkpoint but cannot be used, and why.
type Skipped struct {
	Dir    string
	Reason string
}

// String is "step-000500 (no manifest.json …)".
func (s Skipped) String() string { return fmt.Sprintf("%s (%s)", filepath.Base(s.Dir), s.Reason) }

// ErrNone is wrapped by the error of Latest when a run has no checkpoint that can be used.
var ErrNone = errors.New("no valid checkpoint")

const (
	stepPrefix     = "step-"
	replacedSuffix = ".replaced"
)

func stepName(step int) string { return fmt.Sprintf("%s%06d", stepPrefix, step) }

// parseStep reads the step from a folder's name; ok only for names as Save writes them.
func parseStep(name string) (step int, ok bool) {
	name = strings.TrimSuffix(name, replacedSuffix)
	step, err := strconv.Atoi(strings.TrimPrefix(name, stepPrefix))
	return step, err == nil && step >= 0 && stepName(step) == name
}

// List finds the checkpoints in run, newest first, by the quick check: a whole manifest, and every file as long as it
// says. What looks like a checkpoint and fails is in skipped. Use Verify for the full check.
func List(run string) (valid []Entry, skipped []Skipped, err error) {
	valid, skipped, err = list(run)
	// A replaced checkpoint only counts where its successor is not there.
	return slices.CompactFunc(valid, func(a, b Entry) bool { return a.Step == b.Step }), skipped, err
}

// list is List with replaced checkpoints behind their successors, which may yet turn out to be damaged.
func list(run string) (valid []Entry, skipped []Skipped, err error) {
	entries, err := os.ReadDir(run)
	if err != nil {
		return nil, nil, fmt.Errorf("list checkpoints: %w", err)
	}
	for _, entry := range entries {
		dir := filepath.Join(run, entry.Name())
		if !strings.HasPrefix(entry.Name(), stepPrefix) {
			continue
		}
		stat, err := os.Stat(dir)
		if err != nil && entry.Type()&fs.ModeSymlink != 0 { // anything else was deleted a moment ago
			skipped = append(skipped, Skipped{dir, err.Error()})
		}
		if err != nil || !stat.IsDir() {
			continue
		}
		step, ok := parseStep(entry.Name())
		if !ok {
			skipped = append(skipped, Skipped{dir, "its name is not step- and the step in six digits or more"})
			continue
		}
		m, err := check(dir)
		if err == nil && m.Step != step {
			err = fmt.Errorf("%s says step %d; was the folder renamed?", manifestFile, m.Step)
		}
		if err != nil {
			skipped = append(skipped, Skipped{dir, err.Error()})
			continue
		}
		valid = append(valid, Entry{dir, step})
	}
	slices.SortFunc(valid, func(a, b Entry) int {
		if a.Step != b.Step {
			return b.Step - a.Step
		}
		return len(a.Dir) - len(b.Dir) // the replaced one second
	})
	slices.SortFunc(skipped, func(a, b Skipped) int { return strings.Compare(b.Dir, a.Dir) })
	return valid, skipped, nil
}

// Latest loads the newest checkpoint of run whose every byte verifies, and says which newer ones it skipped and why.
// Where there is none the error wraps ErrNone and lists what exists.
func Latest(run string) (Snapshot, Entry, []Skipped, error) { return latest(run, contentFiles) }

// LatestModel is Latest without the optimizer.
func LatestModel(run string) (Snapshot, Entry, []Skipped, error) { return latest(run, modelFiles) }

func latest(run string, names []string) (Snapshot, Entry, []Skipped, error) {
	valid, skipped, err := list(run)
	if errors.Is(err, fs.ErrNotExist) {
		return Snapshot{}, Entry{}, nil, fmt.Errorf("%w: %w; train the run first, or correct its name", ErrNone, err)
	}
	if err != nil {
		return Snapshot{}, Entry{}, nil, err
	}
	for _, entry := range valid {
		s, err := load(entry.Dir, names)
		if err == nil {
			return s, entry, skipped, nil
		}
		skipped = append(skipped, Skipped{entry.Dir, err.Error()})
	}
	if len(skipped) == 0 {
		return Snapshot{}, Entry{}, nil, fmt.Errorf("%w in %s: it has no step-* folder yet", ErrNone, run)
	}
	broken := make([]string, len(skipped))
	for i, s := range skipped {
		broken[i] = s.String()
	}
	return Snapshot{}, Entry{}, skipped, fmt.Errorf("%w in %s: found only %s; restore one from a copy or start again",
		ErrNone, run, strings.Join(broken, ", "))
}
