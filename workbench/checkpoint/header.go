package checkpoint

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"
)

// tensorInfo is a tensor's entry in the header.
type tensorInfo struct {
	name       string
	dtype      string
	shape      []int
	begin, end int64 // in bytes, from the first byte after the header
}

// header is a validated safetensors header: the tensors, in the order of their data, cover the data exactly.
type header struct {
	tensors  []tensorInfo
	metadata map[string]string
}

// readHeader reads and validates the header of a file of size bytes. Nothing in the file is believed before it has
// been compared with size, so that a hostile file cannot make us allocate more than it has.
func readHeader(r io.Reader, size int64) (header, error) {
	var prefix [8]byte
	if size < 8 {
		return header{}, fmt.Errorf("the file has %d bytes, too few for a safetensors header", size)
	}
	if _, err := io.ReadFull(r, prefix[:]); err != nil {
		return header{}, fmt.Errorf("header length: %w", err)
	}
	length := binary.LittleEndian.Uint64(prefix[:])
	if length > maxHeader {
		return header{}, fmt.Errorf("the header claims %d bytes, more than the %d allowed; is this a safetensors file?",
			length, maxHeader)
	}
	if int64(length) > size-8 {
		return header{}, fmt.Errorf("the header claims %d bytes, but only %d follow; the file is truncated", length, size-8)
	}
	text := make([]byte, length)
	if _, err := io.ReadFull(r, text); err != nil {
		return header{}, fmt.Errorf("header: %w", err)
	}
	h, err := parseHeader(text)
	if err != nil {
		return header{}, fmt.Errorf("header: %w", err)
	}
	return h, checkCover(h.tensors, size-8-int64(length))
}

func parseHeader(text []byte) (header, error) {
	var h header
	if len(text) == 0 || text[0] != '{' {
		return h, errors.New("does not begin with '{'")
	}
	// json.Decoder's tokens alone would let some malformed text pass.
	if !utf8.Valid(text) || !json.Valid(text) {
		return h, errors.New("is not valid JSON in UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	err := eachField(dec, func(name string) error {
		if name == metadataKey {
			h.metadata = map[string]string{}
			return eachField(dec, func(key string) error {
				value, err := decode[string](dec)
				h.metadata[key] = value
				return err
			})
		}
		info, err := parseInfo(dec, name)
		if err != nil {
			return fmt.Errorf("tensor %q: %w", name, err)
		}
		h.tensors = append(h.tensors, info)
		return nil
	})
	return h, err
}

// parseInfo reads one {"dtype":…,"shape":…,"data_offsets":…} and checks that its parts agree.
func parseInfo(dec *json.Decoder, name string) (tensorInfo, error) {
	info := tensorInfo{name: name}
	if err := checkName(name); err != nil {
		return info, err
	}
	var dims, offsets []int64
	err := eachField(dec, func(key string) (err error) {
		switch key {
		case "dtype":
			info.dtype, err = decode[string](dec)
		case "shape":
			dims, err = decodeList(dec)
			for _, dim := range dims {
				if int64(int(dim)) != dim {
					return errShapeOverflow
				}
				info.shape = append(info.shape, int(dim))
			}
		case "data_offsets":
			offsets, err = decodeList(dec)
		default:
			err = errors.New("unknown field, want dtype, shape and data_offsets")
		}
		return err
	})
	if err != nil {
		return info, err
	}
	want, err := dataBytes(info.dtype, info.shape)
	switch {
	case err != nil:
		return info, err
	case dims == nil: // a scalar's shape is [], never absent
		return info, errors.New("has no shape")
	}
	if len(offsets) != 2 || offsets[0] < 0 || offsets[1] < offsets[0] {
		return info, fmt.Errorf("data_offsets %v are not a [begin, end]", offsets)
	}
	info.begin, info.end = offsets[0], offsets[1]
	if info.end-info.begin != want {
		return info, fmt.Errorf("%s%v takes %d bytes, but its data_offsets %v span %d",
			info.dtype, info.shape, want, offsets, info.end-info.begin)
	}
	return info, nil
}

// checkCover sorts the tensors by position and requires that they cover size bytes without overlap or gap.
func checkCover(tensors []tensorInfo, size int64) error {
	slices.SortStableFunc(tensors, func(a, b tensorInfo) int {
		if a.begin != b.begin {
			return int(min(1, max(-1, a.begin-b.begin)))
		}
		return int(min(1, max(-1, a.end-b.end)))
	})
	end := int64(0)
	for _, t := range tensors {
		switch {
		case t.end > size:
			return fmt.Errorf("tensor %q ends at byte %d of the data, but there are only %d; the file is truncated or its header damaged",
				t.name, t.end, size)
		case t.begin < end:
			return fmt.Errorf("tensor %q begins at byte %d of the data, inside the tensor before it, which ends at %d",
				t.name, t.begin, end)
		case t.begin > end:
			return fmt.Errorf("bytes %d to %d of the data belong to no tensor", end, t.begin)
		}
		end = t.end
	}
	if end < size {
		return fmt.Errorf("%d bytes after the last tensor belong to no tensor", size-end)
	}
	return nil
}

// eachField reads one JSON object, calling visit after each key to read its value. A repeated key is an error:
// encoding/json would silently keep the last.
func eachField(dec *json.Decoder, visit func(key string) error) error {
	open, err := dec.Token()
	if err != nil {
		return err
	}
	if open != json.Delim('{') {
		return fmt.Errorf("want a JSON object, have %v", open)
	}
	seen := map[string]bool{}
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return err
		}
		key, _ := token.(string)
		if seen[key] {
			return fmt.Errorf("%q appears twice", key)
		}
		seen[key] = true
		if err := visit(key); err != nil {
			return fmt.Errorf("%q: %w", key, err)
		}
	}
	_, err = dec.Token()
	return err
}

// decode reads one JSON value that may not be null.
func decode[T any](dec *json.Decoder) (T, error) {
	var value *T
	if err := dec.Decode(&value); err != nil || value == nil {
		var zero T
		if err == nil {
			err = errors.New("is null")
		}
		return zero, err
	}
	return *value, nil
}

// decodeList reads a JSON list of integers; encoding/json alone would take null for zero.
func decodeList(dec *json.Decoder) ([]int64, error) {
	items, err := decode[[]*int64](dec)
	if err != nil {
		return nil, err
	}
	list := make([]int64, len(items))
	for i, item := range items {
		if item == nil {
			return nil, fmt.Errorf("element %d is null", i)
		}
		list[i] = *item
	}
	return list, nil
}
