package runlog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// The files of a run that this package owns.
const (
	RunFile     = "run.json"
	MetricsFile = "metrics.jsonl"
)

// Run is an entry of List.
type Run struct {
	Name string `json:"name"`
	Dir  string `json:"folder"`
	// Modified is when the metrics, or else run.json, last changed.
	Modified time.Time `json:"modified"`
	// Summary is empty for a run without metrics, such as an export.
	Summary Summary `json:"summary"`
	// Problem says why metrics that are there could not be read.
	Problem string `json:"problem,omitempty"`
}

// List finds the runs in a folder, newest first: its folders that hold run.json or metrics.jsonl. Anything else is
// ignored. A run whose metrics cannot be read is listed with a Problem.
func List(runsDir string) ([]Run, error) {
	entries, err := os.ReadDir(runsDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list runs: %w; train one first, or name the folder that holds the runs", err)
	}
	if err != nil {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	var runs []Run
	for _, entry := range entries {
		run := Run{Name: entry.Name(), Dir: filepath.Join(runsDir, entry.Name())}
		for _, name := range []string{RunFile, MetricsFile} {
			stat, err := os.Stat(filepath.Join(run.Dir, name))
			if err == nil && stat.Mode().IsRegular() {
				run.Modified = stat.ModTime() // the metrics' wins: run.json may be written again
			}
		}
		if run.Modified.IsZero() {
			continue
		}
		run.Summary, err = SummarizeFile(filepath.Join(run.Dir, MetricsFile))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			run.Problem = err.Error()
		}
		runs = append(runs, run)
	}
	slices.SortStableFunc(runs, func(a, b Run) int { return b.newest().Compare(a.newest()) })
	return runs, nil
}

// newest is the time of the last record, which survives copying the run, or else of the last change.
func (r Run) newest() time.Time {
	if r.Summary.Ended.IsZero() {
		return r.Modified
	}
	return r.Summary.Ended
}

// WriteRun writes v as the run.json of the run in dir, creating the folder if need be. Whatever moment the process
// dies, either the old file or the new one is there.
func WriteRun(dir string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("write %s: %w", filepath.Join(dir, RunFile), err)
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("write %s: %w", filepath.Join(dir, RunFile), err)
	}
	if err := replace(dir, RunFile, append(text, '\n')); err != nil {
		return fmt.Errorf("write %s: %w", filepath.Join(dir, RunFile), err)
	}
	return nil
}

// replacing keeps two writes of this process out of one temporary file.
var replacing sync.Mutex

// replace writes a temporary file, syncs it, and gives it its name.
func replace(dir, name string, text []byte) (err error) {
	replacing.Lock()
	defer replacing.Unlock()
	temp := filepath.Join(dir, fmt.Sprintf(".%s.%d.tmp", name, os.Getpid()))
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o666)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(temp)
		}
	}()
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(temp, filepath.Join(dir, name))
	}
	if err == nil {
		err = syncDir(dir)
	}
	return err
}

// syncDir makes a rename in dir durable.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil // folders cannot be synced there; renames are journalled
	}
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	err = f.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		return nil // some network and user-space file systems have no such call
	}
	return err
}

// ReadRun reads the run.json of the run in dir into v, a pointer. Where there is none the error lists the runs beside
// dir.
func ReadRun(dir string, v any) error {
	path := filepath.Join(dir, RunFile)
	if err := checkRegular(path); err != nil {
		return fmt.Errorf("read run: %w", err)
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read run: %w; %s", err, runsBeside(dir))
	}
	if err != nil {
		return fmt.Errorf("read run: %w", err)
	}
	if err := json.Unmarshal(text, v); err != nil {
		return fmt.Errorf("read run %s: line %d: %w; correct the file or restore it from a copy", path, errorLine(text, err), err)
	}
	return nil
}

// checkRegular refuses what is there and is no file of text: to open a pipe may wait for ever, and a device may have no end.
func checkRegular(path string) error {
	if stat, err := os.Stat(path); err == nil && !stat.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file; move it away, or restore the file from a copy", path)
	}
	return nil
}

func runsBeside(dir string) string {
	var names []string
	files, _ := filepath.Glob(filepath.Join(escapeGlob(filepath.Dir(dir)), "*", RunFile))
	for _, file := range files {
		names = append(names, filepath.Base(filepath.Dir(file)))
	}
	if len(names) == 0 {
		return "there are no runs in " + filepath.Dir(dir)
	}
	return fmt.Sprintf("the runs in %s are %s", filepath.Dir(dir), strings.Join(names, ", "))
}

func escapeGlob(path string) string {
	return strings.NewReplacer(`*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// errorLine is the line, from 1, at which decoding text failed.
func errorLine(text []byte, err error) int {
	at := len(text)
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	if errors.As(err, &syntax) {
		at = int(syntax.Offset)
	} else if errors.As(err, &kind) {
		at = int(kind.Offset)
	}
	return 1 + bytes.Count(text[:min(at, len(text))], []byte("\n"))
}
