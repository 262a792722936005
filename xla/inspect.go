package xla

import (
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// Found is what a search for one kind of backend came to.
type Found struct {
	Kind   string `json:"kind"`
	Usable bool   `json:"usable"`
	// Detail is the plugin's path, or why there is none and what to do.
	Detail string `json:"detail"`
}

// Inspect looks for every kind of backend and opens none.
func Inspect() []Found {
	var found []Found
	for _, kind := range []string{"cuda", "cpu"} {
		path, err := pluginPath(kind)
		if err != nil {
			found = append(found, Found{kind, false, strings.TrimPrefix(err.Error(), "open backend "+kind+": ")})
			continue
		}
		found = append(found, Found{kind, true, path})
	}
	speed := "with SIMD"
	if !SIMD {
		speed = "without SIMD: build with GOEXPERIMENT=simd for matrix products 9 to 19 times as fast"
	}
	return append(found, Found{"go", true, "always there, " + speed})
}

// GPU describes the first NVIDIA GPU.
type GPU struct {
	Name   string `json:"name"`
	Driver string `json:"driver"`
	// MemoryMiB is all of its memory.
	MemoryMiB string `json:"memory_mib"`
}

// Bytes is MemoryMiB in bytes.
func (g GPU) Bytes() (int64, error) {
	mebibytes, err := strconv.ParseInt(g.MemoryMiB, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read the memory of %s: nvidia-smi says %q, not a number of MiB", g.Name, g.MemoryMiB)
	}
	return mebibytes << 20, nil
}

// FindGPU asks nvidia-smi.
func FindGPU() (GPU, error) {
	command := exec.Command("nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader,nounits")
	command.WaitDelay = 5 * time.Second
	output, err := command.Output()
	if err != nil {
		return GPU{}, fmt.Errorf("ask nvidia-smi for the GPU: %w; install the NVIDIA driver if there is a GPU", err)
	}
	line, _, _ := strings.Cut(string(output), "\n")
	fields := strings.Split(line, ", ")
	if len(fields) != 3 {
		return GPU{}, fmt.Errorf("ask nvidia-smi for the GPU: it answered %q; three fields were expected", line)
	}
	return GPU{fields[0], fields[1], fields[2]}, nil
}
