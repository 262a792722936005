package xla

import (
	"fmt"
	"regexp"
	"strconv"

	"github.com/gomlx/compute/shapes"
)

// Limits are what a GPU has for one block of a kernel. The zero value is a GPU, or none, that tells nothing.
type Limits struct {
	// ComputeCapability is NVIDIA's number of what the GPU can do, such as "9.0"; "" is unknown.
	ComputeCapability string `json:"compute_capability"`
	// SharedMemory is the most shared memory of a block in bytes, static and dynamic together; 0 is unknown.
	SharedMemory int `json:"shared_memory"`
}

// Limits tells what the device has for one block of a kernel.
func (d *Device) Limits() Limits {
	if decorated, ok := d.Backend.(*kernels); ok {
		return decorated.limits
	}
	return Limits{}
}

// String is for people: "compute capability 8.9, 99 KiB of shared memory a block".
func (l Limits) String() string {
	capability, shared := l.ComputeCapability, "an unknown size"
	if capability == "" {
		capability = "unknown"
	}
	if l.SharedMemory > 0 {
		shared = fmt.Sprintf("%d KiB", l.SharedMemory>>10)
	}
	return fmt.Sprintf("compute capability %s, %s of shared memory a block", capability, shared)
}

// sharedMemoryOf is the shared memory of a block in KiB by compute capability (CUDA C++ Programming Guide, technical
// specifications), for GPUs that tell only that.
var sharedMemoryOf = map[string]int{
	"8.0": 163, "8.6": 99, "8.7": 163, "8.9": 99, "9.0": 227, "10.0": 227, "10.3": 227, "11.0": 227, "12.0": 99, "12.1": 99,
}

// withDefaults takes the shared memory from the compute capability where the GPU did not tell it.
func (l Limits) withDefaults() Limits {
	if l.SharedMemory <= 0 {
		l.SharedMemory = sharedMemoryOf[l.ComputeCapability] << 10
	}
	return l
}

// refused is why the GPU cannot run a plan; "" if it can, or its limits are unknown. A launch that asks for too much would
// fail only when the program runs.
func (l Limits) refused(plan *Plan) string {
	for _, launch := range plan.Launches {
		if needed := launch.sharedMemory(); l.SharedMemory > 0 && needed > l.SharedMemory {
			return fmt.Sprintf("its kernel takes %d KiB of shared memory a block, this GPU has %d", ceilDiv(needed, 1<<10), l.SharedMemory>>10)
		}
	}
	return ""
}

// kernelWithin plans how inputs of these shapes run on a GPU of these limits, or tells the reason why the definition must do.
func (o *Operation) kernelWithin(limits Limits, inputs []shapes.Shape) (plan *Plan, reason string) {
	if plan, reason = o.Kernel(inputs); plan == nil {
		return nil, reason
	}
	if reason = limits.refused(plan); reason != "" {
		return nil, reason
	}
	return plan, ""
}

// staticArray is a declaration of shared memory of a known size, at the head of a text or in its entry. Arrays without a
// size are the dynamic part.
var staticArray = regexp.MustCompile(`(?m)^\s*\.shared \.align \d+ \.b8 [\w$]+\[(\d+)\];`)

// sharedMemory is the bytes of shared memory that one block of the launch takes. Its text declares only what its entry uses.
func (l Launch) sharedMemory() int {
	total := l.Shared
	for _, declared := range staticArray.FindAllStringSubmatch(l.PTX, -1) {
		size, _ := strconv.Atoi(declared[1])
		total += size
	}
	return total
}
