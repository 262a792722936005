package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// KernelName is the name under which Jupyter knows GoNB.
const KernelName = "gonb"

// NotebooksFolder is where the notebooks lie in a clone.
const NotebooksFolder = "notebooks"

// Jupyter is what the notebooks need of this machine. Each Problem says what is missing and how to get it.
type Jupyter struct {
	// Program is Jupyter, FrontEnd its command that opens notebooks: "lab", "notebook" or "" for none.
	Program  string `json:"program"`
	FrontEnd string `json:"front_end"`
	// Kernel is the folder of GoNB's kernel specification. Goimports and Gopls are found on the PATH or there.
	Kernel    string   `json:"kernel"`
	Goimports string   `json:"goimports"`
	Gopls     string   `json:"gopls"`
	Problems  []string `json:"problems,omitempty"`
	// Advice is of what notebooks can do without.
	Advice []string `json:"advice,omitempty"`
}

// jupyterPatience is how long a command of Jupyter's may take: it is Python, on a machine that may be busy.
const jupyterPatience = 30 * time.Second

// ExamineJupyter looks for all that notebooks need. It changes nothing.
func ExamineJupyter(ctx context.Context) (j Jupyter) {
	ctx, cancel := context.WithTimeout(ctx, jupyterPatience)
	defer cancel()
	missing := func(format string, arguments ...any) {
		j.Problems = append(j.Problems, fmt.Sprintf(format, arguments...))
	}
	var err error
	if j.Program, err = exec.LookPath("jupyter"); err != nil {
		missing("jupyter is not installed; install it with: pip install jupyterlab")
		return j
	}
	for _, front := range []string{"lab", "notebook"} {
		if _, err := exec.LookPath("jupyter-" + front); err == nil && j.FrontEnd == "" {
			j.FrontEnd = front
		}
	}
	if j.FrontEnd == "" {
		j.Advice = append(j.Advice, "no JupyterLab: open the notebooks in VS Code, or install it with: pip install jupyterlab")
	}
	folder, program, err := findKernel(ctx)
	if err != nil {
		missing("%v", err)
		return j
	}
	j.Kernel = folder
	if _, err = exec.LookPath(program); err != nil {
		missing("the kernel %s in %s runs %q, which is not there; install it again with: workbench notebook --install", KernelName, folder, program)
	}
	if j.Goimports = findTool("goimports", j.Kernel); j.Goimports == "" {
		missing("goimports is not on the PATH, and every cell needs it; install it with: workbench notebook --install")
	}
	if j.Gopls = findTool("gopls", j.Kernel); j.Gopls == "" {
		j.Advice = append(j.Advice, "gopls is not on the PATH, so cells have no completion; install it with: go install golang.org/x/tools/gopls@v0.23.0")
	}
	return j
}

// OK tells whether notebooks can run.
func (j Jupyter) OK() bool { return len(j.Problems) == 0 }

// findTool looks for a program on the PATH, and beside the kernel, whose specification adds that folder to it.
func findTool(name, kernel string) string {
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	if path, err := exec.LookPath(filepath.Join(kernel, name)); err == nil {
		return path
	}
	return ""
}

// findKernel looks for GoNB's kernel in the folders that Jupyter looks in: its folder, and the program that it runs.
func findKernel(ctx context.Context) (folder, program string, err error) {
	output, err := tool(ctx, "", "jupyter", "--paths", "--json")
	if err != nil {
		return "", "", fmt.Errorf("jupyter does not say where its kernels are: %w; repair it with: pip install --upgrade jupyter-core", err)
	}
	var paths struct {
		Data []string `json:"data"`
	}
	if err := json.Unmarshal(output, &paths); err != nil {
		return "", "", fmt.Errorf("jupyter --paths --json: %w", err)
	}
	for _, data := range paths.Data {
		folder := filepath.Join(data, "kernels", KernelName)
		text, err := os.ReadFile(filepath.Join(folder, "kernel.json"))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		var spec struct {
			Argv []string `json:"argv"`
		}
		if err == nil {
			err = json.Unmarshal(text, &spec)
		}
		if err == nil && len(spec.Argv) == 0 {
			err = errors.New("it names no program")
		}
		if err != nil {
			return "", "", fmt.Errorf("the kernel in %s cannot be used: %w; install it again with: workbench notebook --install", folder, err)
		}
		return folder, spec.Argv[0], nil
	}
	return "", "", fmt.Errorf("Jupyter has no kernel %s; install it with: workbench notebook --install", KernelName)
}

// tool runs a program and gives its output, or an error with the end of what it said.
func tool(ctx context.Context, folder string, command ...string) ([]byte, error) {
	run := exec.CommandContext(ctx, command[0], command[1:]...)
	run.Dir, run.WaitDelay = folder, time.Second
	var stdout, stderr bytes.Buffer
	run.Stdout, run.Stderr = &stdout, &stderr
	if err := run.Run(); err != nil {
		lines := strings.Split(strings.TrimSpace(stderr.String()), "\n")
		return nil, fmt.Errorf("%s: %w: %s", strings.Join(command, " "), err, lines[len(lines)-1])
	}
	return stdout.Bytes(), nil
}

// Notebooks is the folder of notebooks of the clone that the working folder lies in.
func Notebooks() (string, error) {
	folder, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for from := folder; ; {
		text, err := os.ReadFile(filepath.Join(folder, "go.mod"))
		if err == nil && bytes.HasPrefix(text, []byte("module tandem\n")) {
			return filepath.Join(folder, NotebooksFolder), nil
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", err
		}
		if filepath.Dir(folder) == folder {
			return "", fmt.Errorf("find the notebooks: %s is not in a clone of Tandem; run this where its go.mod lies", from)
		}
		folder = filepath.Dir(folder)
	}
}
