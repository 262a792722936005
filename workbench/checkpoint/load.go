package checkpoint

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"
)

// Load reads the checkpoint in dir, reading each file once and comparing it with its checksum on the way. The error
// of a damaged checkpoint names the file and what is wrong with it.
func Load(dir string) (Snapshot, error) {
	s, err := load(dir, contentFiles)
	if err != nil {
		return Snapshot{}, fmt.Errorf("load checkpoint %s: %w", dir, err)
	}
	return s, nil
}

// Verify reads every file of the checkpoint in dir and compares it with its checksum.
func Verify(dir string) error {
	_, err := readFiles(dir, contentFiles, func(_ string, r io.Reader, _ int64) error {
		// The wrapper hides Discard's own ReadFrom, which reads 8 kB at a time.
		_, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, r, make([]byte, chunk))
		return err
	})
	if err != nil {
		return fmt.Errorf("verify checkpoint %s: %w", dir, err)
	}
	return nil
}

func load(dir string, names []string) (s Snapshot, err error) {
	s.Step, err = readFiles(dir, names, func(name string, r io.Reader, size int64) (err error) {
		switch name { // each file has its own fields, so the concurrent reads do not meet
		case modelFile:
			s.Model, s.Metadata, err = readTensors(r, size)
		case optimizerFile:
			s.Optimizer, _, err = readTensors(r, size)
		case stateFile:
			s.State, err = readState(r)
		}
		return err
	})
	return s, err
}

// readFiles makes the quick check, then lets read consume the named files, concurrently, and compares what was read
// with the manifest, whose step it returns.
func readFiles(dir string, names []string, read func(name string, r io.Reader, size int64) error) (step int, err error) {
	m, err := readManifest(dir)
	if err != nil {
		return 0, err
	}
	if err := m.checkSizes(dir, names...); err != nil {
		return 0, err
	}
	errs := make([]error, len(names))
	var group sync.WaitGroup
	for i, name := range names {
		group.Go(func() {
			errs[i] = readChecked(filepath.Join(dir, name), m.Files[name], func(r io.Reader, size int64) error {
				return read(name, r, size)
			})
		})
	}
	group.Wait()
	for i, err := range errs {
		if err != nil {
			return 0, fmt.Errorf("%s: %w", names[i], err)
		}
	}
	return m.Step, nil
}

// readChecked lets read consume the file, then compares what was read with its sum.
func readChecked(path string, want fileSum, read func(r io.Reader, size int64) error) error {
	f, size, err := openRegular(path)
	if err != nil {
		return err
	}
	defer f.Close()
	r := &sumReader{r: f, hash: sha256.New()}
	if err := read(r, size); err != nil {
		return fmt.Errorf("damaged: %w", err)
	}
	if have := hexSum(r.hash); have != want.SHA256 {
		return fmt.Errorf("wrong checksum: its sha256 is %.12s…, %s says %.12s…; it was damaged after it was saved",
			have, manifestFile, want.SHA256)
	}
	return nil
}

func readState(r io.Reader) (json.RawMessage, error) {
	text, err := io.ReadAll(r)
	if err == nil && !json.Valid(text) {
		err = errors.New("not valid JSON")
	}
	return text, err
}
