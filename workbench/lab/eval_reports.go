package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"tandem/workbench/eval"
)

// evalFolder is where a run's evaluations are, each named after its checkpoint.
const evalFolder = "eval"

// newestReport is that of a run's newest evaluated checkpoint.
func newestReport(run *Run) (*eval.Report, error) {
	folder := filepath.Join(run.Folder, evalFolder)
	entries, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("compare with %s: %w", run.Name, err)
	}
	for i := len(entries) - 1; i >= 0; i-- { // sorted by name, and so by step
		report, err := eval.OpenReport(filepath.Join(folder, entries[i].Name()))
		if errors.Is(err, eval.ErrNoReport) {
			continue
		}
		return report, err
	}
	return nil, fmt.Errorf("compare with %s: it was not evaluated yet; do that first: workbench eval %s", run.Name, run.Reference())
}
