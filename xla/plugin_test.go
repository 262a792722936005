//go:build cgo

package xla

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// The installer leaves a machine without a GPU as it is, without an error; nothing is downloaded here.
func TestAnInstallationThatDidNothingIsAnError(t *testing.T) {
	if gpus, _ := filepath.Glob("/dev/nvidia*"); len(gpus) > 0 {
		t.Skip("this machine has a GPU, for which a plugin would be downloaded")
	}
	t.Setenv("PATH", os.DevNull)
	require.ErrorContains(t, Install("cuda"), "install backend cuda: open backend cuda: backend not available: no NVIDIA GPU is visible")
}

func TestThereIsNothingToInstallForOtherBackends(t *testing.T) {
	require.ErrorContains(t, Install("go"), `install backend "go": there is nothing to install for it; use cuda or cpu`)
}
