package checkpoint

import (
	"fmt"
	"io"
	"os"
	"slices"
)

// ReadSafetensors reads a whole safetensors file: its tensors in the order of their data, and its metadata (nil where
// there is none). A file that breaks the format in any way (a header out of bounds, overlapping or missing data,
// an unknown dtype, a name twice) is refused with an error that says what is wrong.
func ReadSafetensors(path string) ([]Tensor, map[string]string, error) {
	f, size, err := openRegular(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	tensors, metadata, err := readTensors(f, size)
	if err != nil {
		return nil, nil, fmt.Errorf("read %s: %w", path, err)
	}
	return tensors, metadata, nil
}

// readTensors reads a file of size bytes once, front to back.
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

// File is an open safetensors file whose tensors are read when asked for. It is safe for concurrent use.
type File struct {
	file  *os.File
	head  header
	index map[string]int
}

// OpenSafetensors opens a safetensors file and reads its header only. The caller closes it.
func OpenSafetensors(path string) (*File, error) {
	f, size, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	head, err := readHeader(f, size)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	index := make(map[string]int, len(head.tensors))
	for i, info := range head.tensors {
		index[info.name] = i
	}
	return &File{file: f, head: head, index: index}, nil
}

// Names lists the tensors in the order of their data.
func (f *File) Names() []string {
	names := make([]string, len(f.head.tensors))
	for i, info := range f.head.tensors {
		names[i] = info.name
	}
	return names
}

// Metadata is the text stored in the header, nil where there is none. It belongs to the file: do not change it.
func (f *File) Metadata() map[string]string { return f.head.metadata }

// Info describes the named tensor, with Data nil, and its size in bytes.
func (f *File) Info(name string) (Tensor, int64, error) {
	i, ok := f.index[name]
	if !ok {
		return Tensor{}, 0, fmt.Errorf("read %s: no tensor %q; the file has %d tensors, see Names",
			f.file.Name(), name, len(f.index))
	}
	info := f.head.tensors[i]
	return Tensor{Name: info.name, DType: info.dtype, Shape: slices.Clone(info.shape)}, info.end - info.begin, nil
}

// Read reads the named tensor.
func (f *File) Read(name string) (Tensor, error) {
	t, size, err := f.Info(name)
	if err != nil {
		return Tensor{}, err
	}
	t.Data = make([]byte, size)
	at := f.head.dataStart + f.head.tensors[f.index[name]].begin
	if _, err := io.ReadFull(io.NewSectionReader(f.file, at, size), t.Data); err != nil {
		return Tensor{}, fmt.Errorf("read %s: tensor %q: %w", f.file.Name(), name, err)
	}
	return t, nil
}

// Close closes the file.
func (f *File) Close() error { return f.file.Close() }
