package checkpoint

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// The files of a checkpoint.
const (
	modelFile     = "model.safetensors"
	optimizerFile = "optimizer.safetensors"
	stateFile     = "state.json"
	manifestFile  = "manifest.json"
)

// What the manifest vouches for, and what of it the model alone needs.
var (
	contentFiles = []string{modelFile, optimizerFile, stateFile}
	modelFiles   = []string{modelFile, stateFile}
)

const (
	manifestFormat  = "tandem checkpoint"
	manifestVersion = 1
)

// manifest vouches for the other files. It is written last: where it is valid, the save was complete.
type manifest struct {
	Format  string             `json:"format"`
	Version int                `json:"version"`
	Step    int                `json:"step"`
	Files   map[string]fileSum `json:"files"`
}

// fileSum is what a file must be to be trusted.
type fileSum struct {
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"` // lower-case hexadecimal
}

func readManifest(dir string) (manifest, error) {
	var m manifest
	f, _, err := openRegular(filepath.Join(dir, manifestFile))
	if errors.Is(err, fs.ErrNotExist) {
		return m, fmt.Errorf("no %s: the save was cut off, or this is not a checkpoint", manifestFile)
	}
	if err != nil {
		return m, err
	}
	defer f.Close()
	text, err := io.ReadAll(f)
	if err != nil {
		return m, err
	}
	if err := m.decode(text); err != nil {
		return m, fmt.Errorf("%s: %w", manifestFile, err)
	}
	return m, nil
}

func (m *manifest) decode(text []byte) error {
	var about struct {
		Format  string `json:"format"`
		Version int    `json:"version"`
	}
	if err := json.Unmarshal(text, &about); err != nil {
		return fmt.Errorf("damaged: %w", err)
	}
	if about.Format != manifestFormat {
		return fmt.Errorf("damaged or foreign: format %q, want %q", about.Format, manifestFormat)
	}
	if about.Version != manifestVersion {
		return fmt.Errorf("format version %d, but this program reads version %d; use the program that wrote it",
			about.Version, manifestVersion)
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(m); err != nil {
		return fmt.Errorf("damaged: %w", err)
	}
	if m.Step < 0 {
		return fmt.Errorf("damaged: step %d is negative", m.Step)
	}
	for _, name := range contentFiles {
		if _, ok := m.Files[name]; !ok {
			return fmt.Errorf("damaged: %s is not listed", name)
		}
	}
	for name := range m.Files {
		if !slices.Contains(contentFiles, name) {
			return fmt.Errorf("damaged: unknown file %q, want %s", name, strings.Join(contentFiles, ", "))
		}
	}
	return nil
}

// checkSizes compares the named files with the manifest without reading them.
func (m manifest) checkSizes(dir string, names ...string) error {
	for _, name := range names {
		stat, err := os.Stat(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s is missing", name)
		}
		if err != nil {
			return err
		}
		if !stat.Mode().IsRegular() {
			return fmt.Errorf("%s is not a regular file", name)
		}
		if want := m.Files[name].Size; stat.Size() < want {
			return fmt.Errorf("%s is truncated: it has %d of %d bytes", name, stat.Size(), want)
		} else if stat.Size() > want {
			return fmt.Errorf("%s has %d bytes, %s says %d", name, stat.Size(), manifestFile, want)
		}
	}
	return nil
}

// check is the quick check: the manifest is whole and every file has its size.
func check(dir string) (manifest, error) {
	m, err := readManifest(dir)
	if err != nil {
		return m, err
	}
	return m, m.checkSizes(dir, contentFiles...)
}
