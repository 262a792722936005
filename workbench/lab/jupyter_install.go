package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// InstallKernel builds GoNB and goimports, in the versions of go.mod, and installs GoNB as Jupyter's kernel for this user.
func InstallKernel(ctx context.Context, say func(string)) error {
	notebooks, err := Notebooks()
	if err != nil {
		return err
	}
	clone := filepath.Dir(notebooks)
	temporary, err := os.MkdirTemp("", "tandem-kernel")
	if err != nil {
		return fmt.Errorf("install the kernel: %w", err)
	}
	defer os.RemoveAll(temporary)
	say("building GoNB and goimports")
	if _, err := tool(ctx, clone, "go", "build", "-o", temporary+string(filepath.Separator),
		"github.com/janpfeifer/gonb", "golang.org/x/tools/cmd/goimports"); err != nil {
		return fmt.Errorf("install the kernel: %w", err)
	}
	// It copies itself into the kernel's folder, and is content without gopls.
	if _, err := tool(ctx, clone, filepath.Join(temporary, KernelName), "--install", "--force_deps", "--force_copy"); err != nil {
		return fmt.Errorf("install the kernel: %w", err)
	}
	folder, _, err := findKernel(ctx)
	if err != nil {
		return fmt.Errorf("install the kernel: GoNB put it where Jupyter does not find it: %w", err)
	}
	if err := copyProgram(filepath.Join(temporary, "goimports"), filepath.Join(folder, "goimports")); err != nil {
		return fmt.Errorf("install the kernel: %w", err)
	}
	if err := setKernelEnvironment(filepath.Join(folder, "kernel.json"), folder); err != nil {
		return fmt.Errorf("install the kernel: %w", err)
	}
	say("installed the kernel " + KernelName + " in " + folder)
	return nil
}

// setKernelEnvironment lets cells find goimports beside the kernel, and has them built with SIMD, and without what only a
// debugger reads, which halves the time of linking.
func setKernelEnvironment(path, folder string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var spec map[string]any
	if err := json.Unmarshal(text, &spec); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	spec["env"] = map[string]string{
		"PATH":         folder + string(os.PathListSeparator) + "${PATH}",
		"GOEXPERIMENT": "simd",
		"GOFLAGS":      "-ldflags=-w",
	}
	if text, err = json.MarshalIndent(spec, "", "  "); err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

func copyProgram(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o755)
}

// OpenNotebooks runs Jupyter in the folder of notebooks until it is ended; ctx ends it.
func OpenNotebooks(ctx context.Context, frontEnd string) error {
	notebooks, err := Notebooks()
	if err != nil {
		return err
	}
	run := exec.CommandContext(ctx, "jupyter", frontEnd, notebooks)
	run.Stdin, run.Stdout, run.Stderr = os.Stdin, os.Stdout, os.Stderr
	run.Cancel = func() error { return run.Process.Signal(os.Interrupt) }
	run.WaitDelay = 10 * time.Second
	if err := run.Run(); err != nil && ctx.Err() == nil {
		return fmt.Errorf("jupyter %s %s: %w", frontEnd, notebooks, err)
	}
	return ctx.Err()
}
