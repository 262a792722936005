// Package notebooks tests the notebooks: that they are stored without outputs, that their cells compile, and that Jupyter
// runs them.
package notebooks

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tandem/workbench/lab"
)

// cell is one of a notebook.
type cell struct {
	Kind    string            `json:"cell_type"`
	Source  []string          `json:"source"`
	Outputs []json.RawMessage `json:"outputs"`
	Count   *int              `json:"execution_count"`
}

func (c cell) text() string { return strings.Join(c.Source, "") }

// notebooks are those of the folder by name.
func notebooks(t *testing.T) map[string][]cell {
	t.Helper()
	files, err := filepath.Glob("../../notebooks/*.ipynb")
	require.NoError(t, err)
	require.Len(t, files, 5)
	found := map[string][]cell{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		found[strings.TrimSuffix(filepath.Base(file), ".ipynb")] = read(t, text)
	}
	return found
}

func read(t *testing.T, text []byte) []cell {
	t.Helper()
	var notebook struct {
		Cells    []cell `json:"cells"`
		Metadata struct {
			Kernel struct {
				Name string `json:"name"`
			} `json:"kernelspec"`
		} `json:"metadata"`
	}
	require.NoError(t, json.Unmarshal(text, &notebook))
	require.Equal(t, lab.KernelName, notebook.Metadata.Kernel.Name)
	require.NotEmpty(t, notebook.Cells)
	return notebook.Cells
}

func TestNotebooksAreStoredWithoutOutputs(t *testing.T) {
	for name, cells := range notebooks(t) {
		for i, c := range cells {
			require.Empty(t, c.Outputs, "%s, cell %d: strip it with jupyter nbconvert --clear-output --inplace", name, i)
			require.Nil(t, c.Count, "%s, cell %d", name, i)
		}
	}
}

// logic is what belongs into lab.
var logic = regexp.MustCompile(`\b(for|if|switch|func|go|select)\b`)

// Each cell is type-checked as GoNB would compile it: the imports of the first code cell, and the others as main functions,
// all in one package to save time.
func TestEveryCellCompilesAndHoldsNoLogic(t *testing.T) {
	folder, err := os.MkdirTemp("../..", ".cells-") // in the module, and out of the sight of ./...
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(folder) })
	for name, cells := range notebooks(t) {
		program := cellsAsFunctions(t, name, cells)
		require.NoError(t, os.WriteFile(filepath.Join(folder, "cells_"+name+".go"), []byte(program), 0o600))
	}
	check := exec.Command("go", "vet", ".")
	check.Dir = folder
	output, err := check.CombinedOutput()
	require.NoError(t, err, string(output))
}

// cellsAsFunctions makes a file of a notebook: //line comments name the cells in the compiler's errors.
func cellsAsFunctions(t *testing.T, name string, cells []cell) string {
	t.Helper()
	program, functions := "", 0
	for i, c := range cells {
		if c.Kind != "code" {
			continue
		}
		if program == "" {
			line, imports, _ := strings.Cut(c.text(), "\n")
			require.True(t, strings.HasPrefix(line, "!*"), "%s: the setup is one line for GoNB, then imports, not %s", name, line)
			program = "package cells\n" + imports + "\n"
			continue
		}
		body, ok := strings.CutPrefix(c.text(), "%%\n")
		require.True(t, ok, "%s: cell %d does not begin with %%%%", name, i)
		require.NotRegexp(t, logic, body, "%s: cell %d", name, i)
		program += fmt.Sprintf("func cell_%s_%d() {\n//line %s_cell_%d:2\n%s\n}\n", name, i, name, i, body)
		functions++
	}
	require.Greater(t, functions, 2)
	return program
}

// patience is how long all notebooks may take together.
const patience = 8 * time.Minute

// All notebooks in order, in one folder of runs, as a reader goes through them, each a program of Jupyter's with GoNB
// built from go.mod. TANDEM_RENDERED names a folder to put them into with their outputs, as notebooks and as HTML.
func TestJupyterRunsTheNotebooks(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes minutes")
	}
	jupyter, err := exec.LookPath("jupyter")
	if err != nil {
		t.Skip("there is no jupyter on the PATH; apt-get install jupyter-nbconvert")
	}
	if output, err := exec.Command(jupyter, "nbconvert", "--version").CombinedOutput(); err != nil {
		t.Skipf("jupyter has no nbconvert (apt-get install jupyter-nbconvert): %s", output)
	}
	rendered := os.Getenv("TANDEM_RENDERED")
	if rendered == "" {
		rendered = t.TempDir()
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	// A runs folder's socket needs a short path.
	folder, err := os.MkdirTemp("", "tandem")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(folder) })
	t.Setenv("TANDEM_FOLDER", folder)
	t.Setenv("JUPYTER_DATA_DIR", t.TempDir())
	t.Cleanup(func() { endSession(t, folder) })
	require.NoError(t, lab.InstallKernel(ctx, func(line string) { t.Log(line) }))

	started := time.Now()
	for _, name := range []string{"01_patterns", "02_train", "03_compare", "04_chat", "05_inside_the_scan"} {
		t.Run(name, func(t *testing.T) {
			run := func(arguments ...string) {
				command := exec.CommandContext(ctx, jupyter, append([]string{"nbconvert", "--output-dir", rendered}, arguments...)...)
				command.WaitDelay = 10 * time.Second
				output, err := command.CombinedOutput()
				require.NoError(t, err, string(output))
			}
			begun := time.Now()
			run("--to", "notebook", "--execute", "--allow-errors", "--ExecutePreprocessor.timeout=480", "../../notebooks/"+name+".ipynb")
			t.Logf("%s in %.0f s", name, time.Since(begun).Seconds())
			run("--to", "html", filepath.Join(rendered, name+".ipynb"))
			hasPictures(t, filepath.Join(rendered, name+".ipynb"))
		})
	}
	t.Logf("all in %.0f s", time.Since(started).Seconds())
}

// hasPictures looks at an executed notebook: pictures came out, and no error but the typo that is meant to be one.
func hasPictures(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	pictures, problems := 0, 0
	for _, c := range read(t, text) {
		for _, output := range c.Outputs {
			pictures += strings.Count(string(output), "<svg")
			if strings.Contains(string(output), "error: ") {
				require.Contains(t, c.text(), "(MX)", string(output))
				problems++
			}
		}
		if all := whole(c.Outputs); strings.Contains(all, `"output_type": "error"`) {
			require.Fail(t, "a cell failed", "%s\n%s", c.text(), regexp.MustCompile(`<[^>]*>|\\[nt"]`).ReplaceAllString(all, ""))
		}
	}
	require.Positive(t, pictures)
	require.Equal(t, strings.HasSuffix(path, "01_patterns.ipynb"), problems == 1)
}

// whole is all that a cell put out: the error of a cell that ended early stands before its exit status.
func whole(outputs []json.RawMessage) string {
	var all strings.Builder
	for _, output := range outputs {
		all.Write(output)
	}
	return all.String()
}

// endSession stops the session that the notebooks left running.
func endSession(t *testing.T, folder string) {
	before, err := os.Getwd()
	require.NoError(t, err)
	require.NoError(t, os.Chdir(folder))
	defer os.Chdir(before)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	running, err := lab.AttachRunning(ctx, func(line string) { t.Log(line) })
	if err != nil {
		t.Log(err) // none was started
		return
	}
	require.NoError(t, running.Shutdown(ctx))
}
