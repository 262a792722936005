package xla

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/gobackend"
)

// GoConfig is the GoMLX configuration of the pure-Go backend. Its default parallelism deadlocks under load: operations
// wait for worker slots that they themselves occupy. Without a limit they never wait.
const GoConfig = gobackend.BackendName + ":parallelism=-1"

// Device is an opened backend and what was decided about it.
type Device struct {
	compute.Backend

	// Kind is "go", "cpu" (XLA on the host) or "cuda".
	Kind string
	// Config is the GoMLX configuration string that opened it.
	Config string
	// Reason says in words why this backend was taken.
	Reason string
	// Compute is the dtype of activations and matrix products: float32 on the host, bfloat16 on an accelerator.
	Compute dtypes.DType
}

// Names lists what Open accepts beside raw GoMLX configuration strings.
var Names = []string{"auto", "go", "cpu", "cuda"}

// ErrUnavailable marks a backend that this machine or this build does not have.
var ErrUnavailable = errors.New("backend not available")

// Open opens a backend: "auto" (or ""), "go", "cpu", "cuda", or a raw GoMLX configuration such as "xla:/path/plugin.so".
// "auto" takes the first of cuda, cpu and go that works. Nothing is ever downloaded.
func Open(name string) (*Device, error) {
	// GoMLX would otherwise fetch a plugin when it finds none.
	if err := os.Setenv("GOMLX_NO_AUTO_INSTALL", "1"); err != nil {
		return nil, fmt.Errorf("open backend %q: %w", name, err)
	}
	switch name {
	case "", "auto":
		return openAuto()
	case "go":
		return openConfig("go", GoConfig, "the pure-Go backend was asked for")
	case "cpu":
		return openCPU()
	case "cuda":
		return openCUDA()
	}
	if kind, _, raw := strings.Cut(name, ":"); raw || kind == "xla" {
		return openConfig(kindOf(name), name, "a raw GoMLX configuration was asked for")
	}
	return nil, fmt.Errorf("open backend %q: unknown name; use one of %s, or a GoMLX configuration such as xla:/path/to/plugin.so",
		name, strings.Join(Names, ", "))
}

func openAuto() (*Device, error) {
	device, cudaErr := openCUDA()
	if cudaErr == nil {
		device.Reason = "auto: an NVIDIA GPU and a CUDA plugin were found"
		return device, nil
	}
	device, cpuErr := openCPU()
	if cpuErr == nil {
		device.Reason = "auto: no CUDA, but an XLA CPU plugin is installed"
		return device, nil
	}
	return openConfig("go", GoConfig, "auto: neither CUDA nor an XLA CPU plugin is here; workbench doctor says more")
}

// openConfig opens a GoMLX configuration. The constructors may panic, and one of them returns a typed nil with its
// error, so the error decides.
func openConfig(kind, config, reason string) (*Device, error) {
	var backend compute.Backend
	err := Try(func() (err error) {
		silenceStdout(func() { backend, err = compute.NewWithConfig(config) })
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open backend %q: %w", config, err)
	}
	device := &Device{Backend: backend, Kind: kind, Config: config, Reason: reason, Compute: dtypes.Float32}
	if kind != "go" {
		if device.Backend, err = decorate(backend, kind == "cuda"); err != nil {
			return nil, fmt.Errorf("open backend %q: %w", config, err)
		}
	}
	if kind == "cuda" {
		device.Compute = dtypes.BFloat16
	}
	return device, nil
}

// silenceStdout runs fn with standard output discarded: the Go backend prints its parallelism there, and standard
// output belongs to results.
func silenceStdout(fn func()) {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		fn()
		return
	}
	stdout := os.Stdout
	os.Stdout = null
	defer func() {
		os.Stdout = stdout
		null.Close()
	}()
	fn()
}

// kindOf names what a raw GoMLX configuration opens.
func kindOf(config string) string {
	name, option, _ := strings.Cut(config, ":")
	switch {
	case name == gobackend.BackendName:
		return "go"
	case strings.Contains(option, "cuda"):
		return "cuda"
	}
	return "cpu"
}

// Summary is one line for logs: the backend, its dtypes and why they were chosen.
func (d *Device) Summary() string {
	line := fmt.Sprintf("backend %s (%s); activations and products %s, weights, norms, loss and optimizer float32",
		d.Kind, d.Reason, strings.ToLower(d.Compute.String()))
	if d.Kind == "go" && !SIMD {
		line += "; built without SIMD, so matrix products run 9 to 19 times slower: set GOEXPERIMENT=simd"
	}
	return line
}
