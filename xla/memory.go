package xla

import (
	"fmt"
	"strings"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/shapes"
)

// HeadLossBytes is what HeadLoss holds at once on CUDA, beside its operands and results, for rows of a 16-bit dtype: the
// logits of one chunk and their gradient. In a whole optimizer step XLA was measured to keep the head's gradient [D,V] a second
// time while chunks are added up.
func HeadLossBytes(rows, width, vocab int, wholeStep bool) int64 {
	chunk := min(rows, chunkRows(vocab))
	bytes := 2 * 2 * int64(chunk) * int64(vocab)
	if wholeStep && chunk < rows {
		bytes += 4 * int64(width) * int64(vocab)
	}
	return bytes
}

// MemoryShare is the share of the GPU's memory that XLA takes at most, as it needs it. XLA's own 0.75 would leave a quarter
// of a small card unused; the rest is for CUDA's context, its libraries and the screen.
const MemoryShare = 0.9

// MemoryUse is what an allocator holds of a device's memory, in bytes; zero is unknown.
type MemoryUse struct {
	// InUse is allocated now, Peak the most since the device was opened, Limit what can be.
	InUse, Peak, Limit int64
}

// WritesInPlace tells whether XLA puts a program's results in the place of donated arguments. Where it does not, both
// exist at once, and an optimizer's step takes weights and state twice.
const WritesInPlace = true

// go-xla v0.4.1 donates buffers when a program runs, but XLA reuses only what it was told of when it compiled. We tell it
// as JAX does: an attribute of the argument names the result that may take its place (jax/_src/interpreters/mlir.py,
// tf.aliasing_output). The decorated backend learns which arguments are donated from their names.
const donatedPrefix = "donated "

// parameterName is the name under which an input is declared to a device's backend.
func (i Input) parameterName(device *Device) string {
	if _, decorated := device.Backend.(*kernels); decorated && i.Donate && WritesInPlace {
		return donatedPrefix + i.Name
	}
	return i.Name
}

// donated is an argument of a function that its results may replace.
type donated struct {
	function compute.Function
	value    compute.Value
	shape    shapes.Shape
}

// Parameter implements compute.Function.
func (f *function) Parameter(name string, shape shapes.Shape, sharding *compute.ShardingSpec) (compute.Value, error) {
	value, err := f.Function.Parameter(name, shape, sharding)
	if err == nil && strings.HasPrefix(name, donatedPrefix) {
		f.builder.donated = append(f.builder.donated, donated{f.Function, value, shape})
	}
	return value, err
}

// placeResults pairs each donated argument of the function with the first result of its shape that has no place yet.
func (f *function) placeResults(outputs []compute.Value) error {
	taken := make([]bool, len(outputs))
	for _, argument := range f.builder.donated {
		if argument.function != f.Function {
			continue
		}
		for i, output := range outputs {
			shape, err := f.builder.OpShape(output)
			if err != nil {
				return fmt.Errorf("place result %d: %w", i, err)
			}
			if taken[i] || !shape.Equal(argument.shape) {
				continue
			}
			taken[i] = true
			if err := f.builder.owner.place(argument.value, i); err != nil {
				return err
			}
			break
		}
	}
	return nil
}
