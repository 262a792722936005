package models

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"tandem/xla"
)

// GPU is a card: what predictions need to know of it.
type GPU struct {
	Name string `json:"name"`
	// MemoryMiB is what nvidia-smi reports; the driver and error correction keep some of the nominal memory.
	MemoryMiB int `json:"memory_mib"`
	// GBPerSecond is the bandwidth of its memory.
	GBPerSecond float64 `json:"gb_per_second"`
	// MatrixTFLOPs is the peak of its tensor cores in bfloat16 with float32 sums, dense; VectorTFLOPs that of its
	// float32 units. Both are the vendor's, at boost clock.
	MatrixTFLOPs float64 `json:"matrix_tflops"`
	VectorTFLOPs float64 `json:"vector_tflops"`
	// SM is the compute capability, times ten: https://developer.nvidia.com/cuda-gpus.
	SM int `json:"sm"`
	// Source is a page with its bandwidth and peaks; for the matrix peaks of GeForce cards see GPUs.
	Source string `json:"source"`
}

// Pages with the numbers of several cards. gpuMap tells float16 sums from float32 sums, and dense from sparse.
const (
	gpuMap = "https://github.com/lamonoai/gpumap/blob/HEAD/nvidia/GPU.md"
	rtx30  = "https://github.com/stillwater-sc/KPU-Simulator/blob/HEAD/docs/external-knowledge/rtx_30_series_specs_table.md"
	rtx40  = "https://www.club386.com/complete-geforce-rtx-4070-specifications-reveal-a-frugal-599-gpu/"
	a100   = "https://glennklockwood.com/garden/processors/A100"
	h100   = "https://archive-lib.hpctech.co.jp/gpuproduct/nvidia-h100.html"
)

// GPUs are the cards that are known by name. Most sources are second hand: NVIDIA's papers and data sheets themselves were not
// read. A peak that is given only with sparsity is halved. Beware of pages that give GeForce cards the peak with float16
// sums: with float32 sums it is half of that, twice the float32 peak. It is so in
// https://github.com/karpathy/llm.c/blob/HEAD/llmc/mfu.h (RTX 30 and 40) and in gpuMap (RTX 50, rounded).
var GPUs = []GPU{
	{"RTX 3060", 12288, 360, 25.5, 12.7, 86, rtx30},
	{"RTX 3070", 8192, 448, 40.6, 20.3, 86, gpuMap},
	{"RTX 3080", 10240, 760, 59.5, 29.8, 86, gpuMap},
	{"RTX 3090", 24576, 936, 71.2, 35.6, 86, rtx30},
	{"RTX 4060 Ti 16GB", 16380, 288, 44.1, 22.1, 89, "https://github.com/VladislavDuma/gpu_specs"},
	{"RTX 4070", 12282, 504, 58.3, 29.1, 89, rtx40},
	{"RTX 4080", 16376, 717, 97.5, 48.7, 89, rtx40},
	{"RTX 4090", 24564, 1008, 165.2, 82.6, 89, rtx40},
	{"RTX 5070 Ti", 16303, 896, 87.9, 43.9, 120, gpuMap},
	{"RTX 5080", 16303, 960, 112.6, 56.3, 120, gpuMap},
	{"RTX 5090", 32607, 1792, 209.5, 104.8, 120, gpuMap},
	{"L4", 23034, 300, 121, 30.3, 89, gpuMap},
	{"L40S", 46068, 864, 362, 91.6, 89, "https://www.mullet.se/product.html?product_id=355414"},
	{"A10", 23028, 600, 125, 31.2, 86, gpuMap},
	{"A100 40GB", 40960, 1555, 312, 19.5, 80, a100},
	{"A100 80GB", 81920, 2039, 312, 19.5, 80, a100},
	{"H100 PCIe", 81559, 2000, 756, 51, 90, h100},
	{"H100", 81559, 3350, 989, 67, 90, h100},
	{"H200", 143771, 4800, 989, 67, 90, gpuMap},
	// The page gives no float32 peak; 75 is from table 3 of NVIDIA's Blackwell architecture brief, as quoted elsewhere.
	{"B200", 183359, 7700, 2250, 75, 100, "https://github.com/NVIDIA/exemplar-performance"},
}

// MemoryBytes is all of its memory.
func (g GPU) MemoryBytes() int64 { return int64(g.MemoryMiB) << 20 }

// contextBytes is what CUDA's context, cuBLAS and cuDNN take for themselves.
const contextBytes = 700 << 20

// Available is what a program may use: what XLA's allocator is let to take, or what CUDA and its libraries leave if that
// is less.
func (g GPU) Available() int64 {
	return min(int64(xla.MemoryShare*float64(g.MemoryBytes())), g.MemoryBytes()-contextBytes)
}

// GPUByName finds a card by a name in any spelling: "rtx4090", "RTX 4090", "4090", "a100-80gb". Of the sizes of a card whose
// name says none, the first is meant.
func GPUByName(name string) (GPU, error) {
	model, size := cardName(name)
	for _, wanted := range []string{model, "rtx" + model} {
		if gpu, ok := nearestCard(wanted, size<<10); ok && (size == 0 || abs(gpu.MemoryMiB-size<<10) < gpu.MemoryMiB/8) {
			return gpu, nil
		}
	}
	return GPU{}, fmt.Errorf("gpu %q: not in the table; there are %s, and auto for this machine's", name, gpuNames())
}

// GPUOfMachine is the card that a driver reports under its full name, such as "NVIDIA A100-SXM4-80GB", with the memory that
// it reports.
func GPUOfMachine(name string, memoryMiB int) (GPU, error) {
	model, _ := cardName(name)
	for _, wanted := range []string{model, strings.TrimSuffix(model, "pcie")} {
		if gpu, ok := nearestCard(wanted, memoryMiB); ok {
			gpu.MemoryMiB = memoryMiB
			return gpu, nil
		}
	}
	return GPU{}, fmt.Errorf("gpu auto: this machine's %q is not in the table; name the nearest of %s with --gpu", name, gpuNames())
}

// nearestCard is the card of that model with the memory nearest to memoryMiB, or the first if that is 0.
func nearestCard(model string, memoryMiB int) (nearest GPU, ok bool) {
	for _, gpu := range GPUs {
		known, _ := cardName(gpu.Name)
		if known == model && (!ok || memoryMiB > 0 && abs(gpu.MemoryMiB-memoryMiB) < abs(nearest.MemoryMiB-memoryMiB)) {
			nearest, ok = gpu, true
		}
	}
	return nearest, ok
}

var (
	memoryWord = regexp.MustCompile(`^(\d{1,4})gi?b$`)
	// idleWord is said of a card by people and drivers, and tells no two in the table apart.
	idleWord = regexp.MustCompile(`^(nvidia|geforce|tesla|sxm\d?|hbm\de?)$`)
)

// cardName is a card's model in lower case without blanks, and its memory in GB if the name says it.
func cardName(name string) (model string, size int) {
	for _, word := range strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return r == ' ' || r == '-' || r == '_' }) {
		if number := memoryWord.FindStringSubmatch(word); number != nil {
			size, _ = strconv.Atoi(number[1])
		} else if !idleWord.MatchString(word) {
			model += word
		}
	}
	return model, size
}

func abs(x int) int { return max(x, -x) }

func gpuNames() string {
	names := make([]string, len(GPUs))
	for i, gpu := range GPUs {
		names[i] = gpu.Name
	}
	return strings.Join(names, ", ")
}
