package lab

import (
	"context"
	"fmt"
	"runtime"

	"tandem/xla"
)

// Health is what the workbench found on this machine.
type Health struct {
	Go       string            `json:"go"`
	Platform string            `json:"platform"`
	CPUs     int               `json:"cpus"`
	Versions map[string]string `json:"versions"`
	// GPU is nil where there is none; GPUProblem then says why.
	GPU        *xla.GPU    `json:"gpu"`
	GPUProblem string      `json:"gpu_problem,omitempty"`
	Backends   []xla.Found `json:"backends"`
	// Chosen is the backend that was opened and why; Problem why none was.
	Chosen  string `json:"chosen,omitempty"`
	Problem string `json:"problem,omitempty"`
	// Limits are what the GPU has for one block of a kernel; zero without CUDA.
	Limits xla.Limits `json:"limits,omitzero"`
	// Kernels compares each CUDA kernel with its definition; empty without CUDA.
	Kernels []xla.Check `json:"kernels"`
	// Jupyter is what notebooks need, which all else can do without.
	Jupyter Jupyter `json:"jupyter"`
}

// OK tells whether a backend opened and every kernel agrees with its definition.
func (h Health) OK() bool {
	for _, check := range h.Kernels {
		if !check.OK() {
			return false
		}
	}
	return h.Problem == ""
}

// Examine looks at the machine, opens a backend and tests its kernels. It takes seconds and changes nothing.
func Examine(backend string) Health {
	h := Health{
		Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, CPUs: runtime.NumCPU(),
		Versions: versions(), Backends: xla.Inspect(), Jupyter: ExamineJupyter(context.Background()),
	}
	if gpu, err := xla.FindGPU(); err != nil {
		h.GPUProblem = err.Error()
	} else {
		h.GPU = &gpu
	}
	device, err := xla.Open(backend)
	if err != nil {
		h.Problem = err.Error()
		return h
	}
	defer device.Finalize()
	h.Chosen = device.Summary()
	h.Limits = device.Limits()
	h.Kernels = xla.SelfTest(device)
	return h
}

// InstallPlugin downloads a PJRT plugin, "cuda" or "cpu": the one call that goes to the network for a backend.
func InstallPlugin(kind string) error { return xla.Install(kind) }

// ErrUnhealthy is what doctor fails with.
var ErrUnhealthy = fmt.Errorf("something is wrong on this machine; see the lines above")
