package ref

import (
	"fmt"
	"slices"
)

// Array is a tensor of entries on a tape, in row-major order. The zero Array stands for an absent one.
type Array struct {
	tape    *Tape
	shape   []int
	entries []scalar
}

// Array puts values on the tape as independent variables.
func (t *Tape) Array(shape []int, values []float64) Array {
	a := t.zeros(shape...)
	if len(values) != len(a.entries) {
		panic(fmt.Errorf("array of shape %v: %d values; it holds %d", shape, len(values), len(a.entries)))
	}
	for i, value := range values {
		a.entries[i] = t.constant(value)
	}
	return a
}

// Values copies the numbers out.
func (a Array) Values() []float64 {
	values := make([]float64, len(a.entries))
	for i, entry := range a.entries {
		values[i] = a.tape.value(entry)
	}
	return values
}

// Shape is the axes' lengths.
func (a Array) Shape() []int { return slices.Clone(a.shape) }

// zeros is filled in by its maker; what stays is the constant 0.
func (t *Tape) zeros(shape ...int) Array {
	size := 1
	for _, dim := range shape {
		size *= dim
	}
	return Array{t, slices.Clone(shape), slices.Repeat([]scalar{t.constant(0)}, size)}
}

// absent tells the zero Array.
func (a Array) absent() bool { return a.tape == nil }

// at is the part of a under the leading indices, flat and shared with a: a.at(b, t) of [B,T,D] is the D entries of a token.
func (a Array) at(index ...int) []scalar {
	offset, size := 0, len(a.entries)
	for axis, i := range index {
		size /= a.shape[axis]
		offset += i * size
	}
	return a.entries[offset : offset+size]
}

// expect stops at an argument that has not the shape it must have.
func (a Array) expect(name string, shape ...int) {
	if !slices.Equal(a.shape, shape) {
		panic(fmt.Errorf("%s has shape %v: it must have %v", name, a.shape, shape))
	}
}

// expectRank is expect where any lengths will do.
func (a Array) expectRank(name string, axes ...string) {
	if len(a.shape) != len(axes) {
		panic(fmt.Errorf("%s has shape %v: it must have the axes %v", name, a.shape, axes))
	}
}
