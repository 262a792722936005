package checkpoint

import (
	"fmt"
	"io"
	"os"
)

// readTensors reads a whole safetensors file of size bytes, once, front to back: its tensors in the order of their data, and
// its metadata (nil where there is none). A file that breaks the format in any way (a header out of bounds, overlapping or
// missing data, an unknown dtype, a name twice) is refused with an error that says what is wrong.
func readTensors(r io.Reader, size int64) ([]Tensor, map[string]string, error) {
	h, err := readHeader(r, size)
	if err != nil {
		return nil, nil, err
	}
	tensors := make([]Tensor, len(h.tensors))
	for i, info := range h.tensors {
		data := make([]byte, info.end-info.begin)
		if _, err := io.ReadFull(r, data); err != nil {
			return nil, nil, fmt.Errorf("tensor %q: %w", info.name, err)
		}
		tensors[i] = Tensor{Name: info.name, DType: info.dtype, Shape: info.shape, Data: data}
	}
	return tensors, h.metadata, nil
}

// openRegular refuses folders, pipes and devices, whose size says nothing.
func openRegular(path string) (*os.File, int64, error) {
	stat, err := os.Stat(path)
	if err != nil {
		return nil, 0, err
	}
	if !stat.Mode().IsRegular() {
		return nil, 0, fmt.Errorf("%s is not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	return f, stat.Size(), nil
}
