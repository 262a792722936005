package lab

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"tandem/workbench/eval"
)

// EvalFolder is where a run's evaluations are, each named after its checkpoint.
const EvalFolder = "eval"

// newestReport is that of a run's newest evaluated checkpoint.
func newestReport(run *Run) (*eval.Report, error) {
	folder := filepath.Join(run.Folder, EvalFolder)
	entries, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("compare with %s: %w", run.Name, err)
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { // by step, of however many digits
		return cmp.Or(cmp.Compare(len(b.Name()), len(a.Name())), cmp.Compare(b.Name(), a.Name()))
	})
	for _, entry := range entries {
		report, err := eval.OpenReport(filepath.Join(folder, entry.Name()))
		if errors.Is(err, eval.ErrNoReport) {
			continue
		}
		return report, err
	}
	return nil, fmt.Errorf("compare with %s: it was not evaluated yet; do that first: workbench eval %s", run.Name, run.Reference())
}
