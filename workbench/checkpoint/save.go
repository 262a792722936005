package checkpoint

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
)

// Snapshot is everything that one checkpoint holds.
type Snapshot struct {
	// Step is the number of optimizer steps taken; it names the folder.
	Step int
	// Model holds the weights, Optimizer what the optimizer needs to go on. Either may be empty.
	Model, Optimizer []Tensor
	// State is the trainer's loop state (RNG, data position, …) as JSON. It is stored byte for byte and never
	// interpreted here; nil is stored as {}.
	State json.RawMessage
	// Metadata is text that travels in the header of model.safetensors, where other tools see it too.
	Metadata map[string]string
}

// Save writes the snapshot to RUN/step-000500, replacing that step if it exists, and returns the folder. Either the
// whole checkpoint appears or nothing changes, whatever moment the process or the machine dies:
//
//  1. remove what killed saves have left behind;
//  2. write and sync the three content files in a temporary folder in RUN;
//  3. write and sync the manifest, then the folder itself;
//  4. where the step exists already, rename it to step-000500.replaced, which List also accepts;
//  5. rename the temporary folder to step-000500 and sync RUN;
//  6. delete the replaced one.
//
// The tensors must not change before Save returns. An error leaves all earlier checkpoints as they were.
func Save(run string, s Snapshot) (dir string, err error) {
	dir, err = save(run, s)
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		err = fmt.Errorf("%w; free about %d MB and save again (earlier checkpoints are untouched)", err, s.bytes()/1e6+1)
	}
	if err != nil {
		return "", fmt.Errorf("save checkpoint of step %d in %s: %w", s.Step, run, err)
	}
	return dir, nil
}

func save(run string, s Snapshot) (dir string, err error) {
	if s.Step < 0 {
		return "", errors.New("the step is negative, want 0 or more")
	}
	if s.State == nil {
		s.State = json.RawMessage("{}")
	}
	if !json.Valid(s.State) {
		return "", errors.New("the loop state is not valid JSON")
	}
	if err := makeRun(run); err != nil {
		return "", err
	}
	sweep(run) // 1
	temp := tempName(run, stepName(s.Step))
	inUse.Store(filepath.Base(temp), true)
	defer inUse.Delete(filepath.Base(temp))
	if err := os.Mkdir(temp, 0o777); err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			os.RemoveAll(temp)
		}
	}()
	if err := writeFiles(temp, s); err != nil { // 2, 3
		return "", err
	}
	dir = filepath.Join(run, stepName(s.Step))
	return dir, publish(run, temp, dir) // 4, 5, 6
}

func makeRun(run string) error {
	if _, err := os.Stat(run); err == nil {
		return nil
	}
	if err := os.MkdirAll(run, 0o777); err != nil {
		return err
	}
	return syncDir(filepath.Dir(run))
}

func writeFiles(temp string, s Snapshot) error {
	var sums [3]fileSum
	var errs [3]error
	var group sync.WaitGroup
	for i, write := range []func(io.Writer) error{
		func(w io.Writer) error { return WriteSafetensors(w, s.Model, s.Metadata) },
		func(w io.Writer) error { return WriteSafetensors(w, s.Optimizer, nil) },
		func(w io.Writer) error { return writeAll(w, s.State) },
	} {
		group.Go(func() {
			sums[i], errs[i] = createSynced(filepath.Join(temp, contentFiles[i]), write)
		})
	}
	group.Wait()
	m := manifest{Format: manifestFormat, Version: manifestVersion, Step: s.Step, Files: map[string]fileSum{}}
	for i, name := range contentFiles {
		if errs[i] != nil {
			return fmt.Errorf("%s: %w", name, errs[i])
		}
		m.Files[name] = sums[i]
	}
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	_, err = createSynced(filepath.Join(temp, manifestFile), func(w io.Writer) error {
		return writeAll(w, append(text, '\n'))
	})
	if err != nil {
		return fmt.Errorf("%s: %w", manifestFile, err)
	}
	return syncDir(temp)
}

// publishing keeps two saves of one step in this process from renaming at once.
var publishing sync.Mutex

// publish gives the finished temporary folder its name. At every moment a valid checkpoint of the step, the old or
// the new, stands under a name that List accepts.
func publish(run, temp, dir string) error {
	publishing.Lock()
	defer publishing.Unlock()
	aside := dir + replacedSuffix
	if err := setAside(dir, aside); err != nil {
		return err
	}
	if err := os.Rename(temp, dir); err != nil {
		// Give the old one its name back; should that fail too, List still finds it as it is.
		os.Rename(aside, dir)
		return err
	}
	if err := syncDir(run); err != nil {
		return err
	}
	discard(run, aside) // a leftover is harmless, and the next save of this step takes it away
	return nil
}

// setAside frees the name dir, keeping the better of dir and of an aside that an earlier, killed save left.
func setAside(dir, aside string) error {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if _, err := os.Stat(aside); err == nil {
		if Verify(dir) != nil {
			return discard(filepath.Dir(dir), dir)
		}
		if err := discard(filepath.Dir(dir), aside); err != nil {
			return err
		}
	}
	return os.Rename(dir, aside)
}

// discard deletes the checkpoint folder dir. It is renamed first, so that dying in the middle does not leave
// something that looks like a broken checkpoint.
func discard(run, dir string) error {
	temp := tempName(run, "deleted")
	inUse.Store(filepath.Base(temp), true)
	defer inUse.Delete(filepath.Base(temp))
	if err := os.Rename(dir, temp); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	return os.RemoveAll(temp)
}

// bytes is the size of the tensors' data.
func (s Snapshot) bytes() (total int64) {
	for _, tensors := range [][]Tensor{s.Model, s.Optimizer} {
		for _, t := range tensors {
			total += int64(len(t.Data))
		}
	}
	return total
}
