package models_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tandem/models"
)

func TestTheTableOfGPUsIsSane(t *testing.T) {
	seen := map[string]bool{}
	for _, gpu := range models.GPUs {
		t.Run(gpu.Name, func(t *testing.T) {
			require.False(t, seen[gpu.Name])
			seen[gpu.Name] = true
			require.True(t, strings.HasPrefix(gpu.Source, "https://"))
			require.GreaterOrEqual(t, gpu.SM, 80, "our kernels need sm_80")
			require.Greater(t, gpu.Available(), gpu.MemoryBytes()*8/10)
			require.LessOrEqual(t, gpu.Available(), gpu.MemoryBytes()-(700<<20))
			require.GreaterOrEqual(t, gpu.MatrixTFLOPs, 2*gpu.VectorTFLOPs*0.99)
			// FLOPs a byte: cards are built for about the same balance.
			require.InDelta(t, 140, gpu.MatrixTFLOPs*1000/gpu.GBPerSecond, 330)
			found, err := models.GPUByName(gpu.Name)
			require.NoError(t, err)
			require.Equal(t, gpu, found)
		})
	}
}

func TestAGPUIsFoundUnderAnySpelling(t *testing.T) {
	for name, want := range map[string]string{
		"rtx4090": "RTX 4090", "RTX 4090": "RTX 4090", "4090": "RTX 4090", "NVIDIA GeForce RTX 4090": "RTX 4090", "rtx-3060": "RTX 3060",
		"rtx 3060 12GB": "RTX 3060", "4060ti": "RTX 4060 Ti 16GB", "5070 ti": "RTX 5070 Ti", "h100": "H100", "H100-SXM": "H100",
		"h100 pcie": "H100 PCIe", "a100": "A100 40GB", "a100-80gb": "A100 80GB", "A100 SXM4 80 GB": "", "l4": "L4", "L40S": "L40S", "b200": "B200",
		"": "", "rtx": "", "a100 160gb": "", "rtx 4070 ti": "", "tpu": "",
	} {
		t.Run(name, func(t *testing.T) {
			gpu, err := models.GPUByName(name)
			if want == "" {
				require.ErrorContains(t, err, "not in the table; there are RTX 3060, RTX 3070,")
				return
			}
			require.NoError(t, err)
			require.Equal(t, want, gpu.Name)
		})
	}
}

func TestTheDriversNameOfACardIsUnderstood(t *testing.T) {
	for name, want := range map[string]string{
		"NVIDIA H200": "H200", "NVIDIA H100 80GB HBM3": "H100", "NVIDIA H100 PCIe": "H100 PCIe", "NVIDIA A100-SXM4-40GB": "A100 40GB",
		"NVIDIA A100-PCIE-40GB": "A100 40GB", "NVIDIA A100-SXM4-80GB": "A100 80GB", "NVIDIA A10": "A10", "NVIDIA L4": "L4",
		"NVIDIA GeForce RTX 4060 Ti": "RTX 4060 Ti 16GB", "NVIDIA B200": "B200",
		"NVIDIA GeForce RTX 4070 Ti SUPER": "", "Tesla V100-SXM2-16GB": "",
	} {
		t.Run(name, func(t *testing.T) {
			memory := 40000
			if strings.Contains(name, "80GB") {
				memory = 81000
			}
			gpu, err := models.GPUOfMachine(name, memory)
			if want == "" {
				require.ErrorContains(t, err, "is not in the table; name the nearest of RTX 3060,")
				return
			}
			require.NoError(t, err)
			require.Equal(t, want, gpu.Name)
			require.Equal(t, memory, gpu.MemoryMiB)
		})
	}
}
