package cli

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"tandem/workbench/lab"
)

func TestDoctorTellsTheGPUsLimitsAndWhichKernelsItCannotRun(t *testing.T) {
	var health lab.Health
	require.NoError(t, json.Unmarshal([]byte(`{"chosen": "backend cuda", "limits": {"compute_capability": "8.9", "shared_memory": 101376}, "kernels": [
		{"operation": "conv", "error": 1e-7, "allowed": 2e-2},
		{"operation": "scan", "allowed": 2e-2, "refused": "its kernel takes 117 KiB of shared memory a block, this GPU has 99"}]}`), &health))
	rows := healthRows(health)
	require.Contains(t, rows, []string{"limits", "compute capability 8.9, 99 KiB of shared memory a block"})
	require.Contains(t, rows, []string{"kernel scan", "not used here: its kernel takes 117 KiB of shared memory a block, this GPU has 99"})
	require.True(t, health.OK(), "a kernel that is not used is no illness")

	health.Kernels = nil
	for _, row := range healthRows(health) {
		require.NotEqual(t, "limits", row[0], "without CUDA there are none to tell")
	}
}
