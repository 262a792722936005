//go:build !cgo

package xla

import (
	"errors"
	"fmt"

	"github.com/gomlx/compute"
)

// Without cgo (no C compiler) XLA plugins cannot be loaded; the Go backend is what there is.

func openCUDA() (*Device, error) {
	_, err := pluginPath("cuda")
	return nil, err
}

// OpenWithin needs XLA, which this build has not.
func OpenWithin(int64) (*Device, error) { return openCUDA() }

// MemoryUse needs XLA, which this build has not.
func (d *Device) MemoryUse() (MemoryUse, error) {
	return MemoryUse{}, fmt.Errorf("read memory in use: backend %s has no allocator of its own", d.Kind)
}

func openCPU() (*Device, error) {
	_, err := pluginPath("cpu")
	return nil, err
}

func pluginPath(kind string) (string, error) {
	return "", fmt.Errorf("open backend %s: %w: this program was built without cgo; install a C compiler and build again", kind, ErrUnavailable)
}

// Install needs XLA, which this build has not.
func Install(kind string) error {
	_, err := pluginPath(kind)
	return err
}

func decorate(backend compute.Backend, _ bool) (compute.Backend, error) { return backend, nil }

func plannedMemory(compute.Executable) (Memory, error) {
	return Memory{}, errors.New("read planned memory: only XLA plans it, and this program was built without cgo")
}
