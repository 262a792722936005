package checkpoint

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"math/bits"
	"slices"
	"strings"
	"unicode/utf8"
)

// Tensor is one named array, as safetensors stores it.
type Tensor struct {
	// Name is unique in its file. Any non-empty UTF-8 text except "__metadata__".
	Name string
	// DType is the safetensors name of the element type: F32, BF16, F16, I64, U8, BOOL, …
	DType string
	// Shape is the size of each axis, outermost first; empty for a scalar.
	Shape []int
	// Data is the elements, little endian, row major.
	Data []byte
}

// elementBytes is the width in bytes of every dtype that can be written and read.
var elementBytes = map[string]int64{
	"BOOL": 1, "U8": 1, "I8": 1, "F8_E5M2": 1, "F8_E4M3": 1,
	"U16": 2, "I16": 2, "F16": 2, "BF16": 2,
	"U32": 4, "I32": 4, "F32": 4,
	"U64": 8, "I64": 8, "F64": 8,
}

// metadataKey is the one header entry that is not a tensor; it holds text for the reader.
const metadataKey = "__metadata__"

var errShapeOverflow = errors.New("the shape holds more bytes than an int can count")

// dataBytes is the number of bytes that elements of dtype in the given shape take.
func dataBytes(dtype string, shape []int) (int64, error) {
	width, ok := elementBytes[dtype]
	if !ok {
		return 0, fmt.Errorf("unknown dtype %q, want one of %s", dtype,
			strings.Join(slices.Sorted(maps.Keys(elementBytes)), ", "))
	}
	if i := slices.IndexFunc(shape, func(dim int) bool { return dim < 0 }); i >= 0 {
		return 0, fmt.Errorf("shape %v has a negative axis %d", shape, i)
	}
	if slices.Contains(shape, 0) {
		return 0, nil
	}
	total := uint64(width)
	for _, dim := range shape {
		high, low := bits.Mul64(total, uint64(dim))
		if high != 0 || low > math.MaxInt {
			return 0, errShapeOverflow
		}
		total = low
	}
	return int64(total), nil
}

func checkName(name string) error {
	switch {
	case name == "":
		return errors.New("a tensor has no name; every tensor needs one")
	case name == metadataKey:
		return fmt.Errorf("tensor name %q is reserved by the format; choose another", name)
	case !utf8.ValidString(name):
		return fmt.Errorf("tensor name %q is not valid UTF-8", name)
	}
	return nil
}
