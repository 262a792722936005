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
	// SM is the compute capability, times ten.
	SM int `json:"sm"`
	// Source is the vendor's page or paper with these numbers.
	Source string `json:"source"`
}

// The vendor's documents.
const (
	ampere    = "https://www.nvidia.com/content/PDF/nvidia-ampere-ga-102-gpu-architecture-whitepaper-v2.pdf"
	ada       = "https://images.nvidia.com/aem-dam/Solutions/geforce/ada/nvidia-ada-gpu-architecture.pdf"
	blackwell = "https://images.nvidia.com/aem-dam/Solutions/geforce/blackwell/nvidia-rtx-blackwell-gpu-architecture.pdf"
	geforce   = "https://www.nvidia.com/en-us/geforce/graphics-cards/"
	server    = "https://www.nvidia.com/en-us/data-center/"
)

// GPUs are the cards that are known by name. Where a page gives no matrix peak, it is twice the float32 peak, as in the
// paper of the card's generation; where a page gives it with sparsity, it is half of that.
var GPUs = []GPU{
	{"RTX 3060", 12288, 360, 25.5, 12.7, 86, geforce + "30-series/rtx-3060-3060ti/"},
	{"RTX 3070", 8192, 448, 40.6, 20.3, 86, ampere},
	{"RTX 3080", 10240, 760, 59.5, 29.8, 86, ampere},
	{"RTX 3090", 24576, 936, 71, 35.6, 86, ampere},
	{"RTX 4060 Ti 16GB", 16380, 288, 44.1, 22.1, 89, geforce + "40-series/rtx-4060-4060ti/"},
	{"RTX 4070", 12282, 504, 58.3, 29.1, 89, geforce + "40-series/rtx-4070-family/"},
	{"RTX 4080", 16376, 717, 97.5, 48.7, 89, ada},
	{"RTX 4090", 24564, 1008, 165.2, 82.6, 89, ada},
	{"RTX 5070 Ti", 16303, 896, 87.9, 43.9, 120, blackwell},
	{"RTX 5080", 16303, 960, 112.6, 56.3, 120, blackwell},
	{"RTX 5090", 32607, 1792, 209.5, 104.8, 120, blackwell},
	{"L4", 23034, 300, 121, 30.3, 89, server + "l4/"},
	{"L40S", 46068, 864, 362, 91.6, 89, server + "l40s/"},
	{"A10", 23028, 600, 125, 31.2, 86, server + "products/a10-gpu/"},
	{"A100 40GB", 40960, 1555, 312, 19.5, 80, server + "a100/"},
	{"A100 80GB", 81920, 2039, 312, 19.5, 80, server + "a100/"},
	{"H100 PCIe", 81559, 2000, 756, 51, 90, server + "h100/"},
	{"H100", 81559, 3350, 989, 67, 90, server + "h100/"},
	{"H200", 143771, 4800, 989, 67, 90, server + "h200/"},
	{"B200", 183359, 8000, 2250, 75, 100, server + "hgx/"},
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
