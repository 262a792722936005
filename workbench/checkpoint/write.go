package checkpoint

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"
)

// maxHeader is the longest header that the reference implementation accepts, in bytes.
const maxHeader = 100_000_000

// WriteSafetensors streams the tensors to w in the safetensors format: eight bytes of header length, a JSON header
// padded with spaces to a multiple of eight, then the data without gaps. Tensors with wider elements come first,
// otherwise in the order given, so that every tensor is aligned to its element. Metadata may be nil.
//
// Everything is checked before the first byte is written: names are unique, and Data is as long as DType and Shape say.
func WriteSafetensors(w io.Writer, tensors []Tensor, metadata map[string]string) error {
	ordered, err := fileOrder(tensors)
	if err != nil {
		return fmt.Errorf("write safetensors: %w", err)
	}
	header, err := encodeHeader(ordered, metadata)
	if err != nil {
		return fmt.Errorf("write safetensors: %w", err)
	}
	if err := writeAll(w, header); err != nil {
		return fmt.Errorf("write safetensors header: %w", err)
	}
	for _, t := range ordered {
		if err := writeAll(w, t.Data); err != nil {
			return fmt.Errorf("write safetensors tensor %q: %w", t.Name, err)
		}
	}
	return nil
}

// fileOrder checks the tensors and returns them in the order they have in the file.
func fileOrder(tensors []Tensor) ([]Tensor, error) {
	seen := make(map[string]bool, len(tensors))
	for _, t := range tensors {
		if err := checkName(t.Name); err != nil {
			return nil, err
		}
		if seen[t.Name] {
			return nil, fmt.Errorf("tensor %q is given twice; names must be unique", t.Name)
		}
		seen[t.Name] = true
		want, err := dataBytes(t.DType, t.Shape)
		if err != nil {
			return nil, fmt.Errorf("tensor %q: %w", t.Name, err)
		}
		if int64(len(t.Data)) != want {
			return nil, fmt.Errorf("tensor %q: %s%v takes %d bytes, but its data has %d",
				t.Name, t.DType, t.Shape, want, len(t.Data))
		}
	}
	ordered := slices.Clone(tensors)
	slices.SortStableFunc(ordered, func(a, b Tensor) int {
		return int(elementBytes[b.DType] - elementBytes[a.DType])
	})
	return ordered, nil
}

// encodeHeader returns the length prefix and the padded JSON header.
func encodeHeader(ordered []Tensor, metadata map[string]string) ([]byte, error) {
	buf := bytes.NewBuffer(make([]byte, 8, 8+128*(len(ordered)+1)))
	buf.WriteByte('{')
	if len(metadata) > 0 {
		for key, value := range metadata {
			if !utf8.ValidString(key) || !utf8.ValidString(value) {
				return nil, fmt.Errorf("metadata %q: key and value must be valid UTF-8", key)
			}
		}
		fmt.Fprintf(buf, "%q:%s", metadataKey, plainJSON(metadata))
	}
	offset := int64(0)
	for _, t := range ordered {
		if buf.Len() > 9 {
			buf.WriteByte(',')
		}
		shape := t.Shape
		if shape == nil {
			shape = []int{} // a scalar's shape is [], never null
		}
		end := offset + int64(len(t.Data))
		fmt.Fprintf(buf, `%s:{"dtype":%q,"shape":%s,"data_offsets":[%d,%d]}`,
			plainJSON(t.Name), t.DType, plainJSON(shape), offset, end)
		offset = end
	}
	buf.WriteByte('}')
	for buf.Len()%8 != 0 {
		buf.WriteByte(' ')
	}
	length := buf.Len() - 8
	if length > maxHeader {
		return nil, fmt.Errorf("header is %d bytes, the format allows %d; use fewer tensors or shorter names and metadata",
			length, maxHeader)
	}
	binary.LittleEndian.PutUint64(buf.Bytes(), uint64(length))
	return buf.Bytes(), nil
}

// plainJSON encodes what cannot fail: text, lists of integers and maps of text.
func plainJSON(v any) []byte {
	text, _ := json.Marshal(v)
	return text
}

func writeAll(w io.Writer, p []byte) error {
	n, err := w.Write(p)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	return err
}
