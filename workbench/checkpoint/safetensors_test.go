package checkpoint

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// someTensors covers every dtype, scalars, empty tensors and awkward names.
func someTensors(seed uint64) []Tensor {
	rng := rand.New(rand.NewPCG(seed, 1))
	var tensors []Tensor
	add := func(name, dtype string, shape ...int) {
		size, err := dataBytes(dtype, shape)
		if err != nil {
			panic(err)
		}
		data := make([]byte, size)
		for i := range data {
			data[i] = byte(rng.Uint32())
		}
		tensors = append(tensors, Tensor{name, dtype, shape, data})
	}
	for _, dtype := range []string{"BOOL", "F32", "U8", "I64", "BF16", "F64", "F16", "I32", "U32", "U64", "I8", "U16", "I16"} {
		add("blocks.0/"+dtype, dtype, 3, 5)
	}
	add("scalar", "F32")
	add("empty", "F32", 4, 0, 7)
	add(`naïve "quoted" <&> \ 名前`, "U8", 3)
	return tensors
}

func encode(t testing.TB, tensors []Tensor, metadata map[string]string) []byte {
	var buf bytes.Buffer
	require.NoError(t, WriteSafetensors(&buf, tensors, metadata))
	return buf.Bytes()
}

func readBytes(file []byte) ([]Tensor, map[string]string, error) {
	return readTensors(bytes.NewReader(file), int64(len(file)))
}

// specRead is an independent reader, written from the format's specification and nothing else.
func specRead(t testing.TB, file []byte) (tensors map[string]Tensor, metadata map[string]any) {
	length := 0
	for i := 7; i >= 0; i-- {
		length = length*256 + int(file[i])
	}
	require.Zero(t, length%8, "the data must begin at a multiple of 8")
	require.Equal(t, byte('{'), file[8])
	var entries map[string]map[string]any
	require.NoError(t, json.Unmarshal(file[8:8+length], &entries))
	body := file[8+length:]
	owner := make([]string, len(body))
	tensors = map[string]Tensor{}
	for name, entry := range entries {
		if name == "__metadata__" {
			metadata = entry
			continue
		}
		offsets := entry["data_offsets"].([]any)
		begin, end := int(offsets[0].(float64)), int(offsets[1].(float64))
		tensor := Tensor{Name: name, DType: entry["dtype"].(string), Data: body[begin:end]}
		for _, dim := range entry["shape"].([]any) {
			tensor.Shape = append(tensor.Shape, int(dim.(float64)))
		}
		for i := begin; i < end; i++ {
			require.Empty(t, owner[i], "byte %d belongs to two tensors", i)
			owner[i] = name
		}
		tensors[name] = tensor
	}
	require.NotContains(t, owner, "", "every byte must belong to a tensor")
	return tensors, metadata
}

func TestAnIndependentReaderFindsWhatWasWritten(t *testing.T) {
	tensors := someTensors(1)
	file := encode(t, tensors, map[string]string{"pattern": "T12 M8"})
	found, metadata := specRead(t, file)
	require.Len(t, found, len(tensors))
	for _, want := range tensors {
		have := found[want.Name]
		require.Equal(t, want.DType, have.DType)
		require.Equal(t, len(want.Shape), len(have.Shape))
		if len(want.Shape) > 0 {
			require.Equal(t, want.Shape, have.Shape)
		}
		require.True(t, bytes.Equal(want.Data, have.Data), want.Name)
	}
	require.Equal(t, map[string]any{"pattern": "T12 M8"}, metadata)
}

func TestTheBytesAreThoseOfTheSpecification(t *testing.T) {
	file := encode(t, []Tensor{{"b", "BOOL", []int{1}, []byte{1}}, {"a", "F32", nil, []byte{0, 0, 128, 63}}}, nil)
	header := `{"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]},"b":{"dtype":"BOOL","shape":[1],"data_offsets":[4,5]}}     `
	require.Equal(t, "\x70\x00\x00\x00\x00\x00\x00\x00"+header+"\x00\x00\x80\x3f\x01", string(file))
	require.Equal(t, "\x08\x00\x00\x00\x00\x00\x00\x00{}      ", string(encode(t, nil, nil)))
}

func TestWhatIsReadIsWhatWasWritten(t *testing.T) {
	tensors, metadata, err := readBytes(encode(t, someTensors(2), map[string]string{"k": "v"}))
	require.NoError(t, err)
	require.Equal(t, map[string]string{"k": "v"}, metadata)
	want, err := fileOrder(someTensors(2))
	require.NoError(t, err)
	require.Equal(t, want, tensors)
}

func TestWriteSafetensorsRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		tensors []Tensor
		want    string
	}{
		"a name given twice":           {[]Tensor{{Name: "a", DType: "U8", Shape: []int{0}}, {Name: "a", DType: "U8", Shape: []int{0}}}, "twice"},
		"no name":                      {[]Tensor{{DType: "U8", Shape: []int{0}}}, "no name"},
		"the reserved name":            {[]Tensor{{Name: "__metadata__", DType: "U8", Shape: []int{0}}}, "reserved"},
		"a name that is not text":      {[]Tensor{{Name: "\xff", DType: "U8", Shape: []int{0}}}, "UTF-8"},
		"an unknown dtype":             {[]Tensor{{Name: "a", DType: "float32", Shape: []int{0}}}, "BF16"},
		"a negative axis":              {[]Tensor{{Name: "a", DType: "U8", Shape: []int{-1}}}, "negative"},
		"too little data":              {[]Tensor{{"a", "F32", []int{2}, make([]byte, 7)}}, "takes 8 bytes"},
		"too much data":                {[]Tensor{{"a", "F32", nil, make([]byte, 8)}}, "takes 4 bytes"},
		"a shape beyond counting":      {[]Tensor{{Name: "a", DType: "F64", Shape: []int{1 << 31, 1 << 31}}}, "can count"},
		"a shape beyond 64 bits twice": {[]Tensor{{Name: "a", DType: "U8", Shape: []int{1 << 62, 1 << 62, 1 << 62}}}, "can count"},
	} {
		t.Run(name, func(t *testing.T) {
			var buf bytes.Buffer
			require.ErrorContains(t, WriteSafetensors(&buf, c.tensors, nil), c.want)
			require.Zero(t, buf.Len(), "nothing may be written before everything is checked")
		})
	}
	require.ErrorContains(t, WriteSafetensors(io.Discard, nil, map[string]string{"k": "\xff"}), "UTF-8")
}

// failingWriter takes room bytes and then fails, or silently takes less.
type failingWriter struct {
	room   int
	silent bool
}

var errFull = errors.New("disk full")

func (w *failingWriter) Write(p []byte) (int, error) {
	if n := w.room; n < len(p) {
		w.room = 0
		if w.silent {
			return n, nil
		}
		return n, errFull
	}
	w.room -= len(p)
	return len(p), nil
}

func TestWriteSafetensorsReportsAWriterThatFailsAtAnyByte(t *testing.T) {
	tensors := someTensors(3)
	size := len(encode(t, tensors, nil))
	for n := range size {
		require.ErrorIs(t, WriteSafetensors(&failingWriter{room: n}, tensors, nil), errFull, "after %d bytes", n)
		require.ErrorIs(t, WriteSafetensors(&failingWriter{room: n, silent: true}, tensors, nil), io.ErrShortWrite)
		require.ErrorIs(t, WriteSafetensors(&sumWriter{w: &failingWriter{room: n}, hash: nullHash{}}, tensors, nil), errFull)
	}
	require.NoError(t, WriteSafetensors(&failingWriter{room: size}, tensors, nil))
}

type nullHash struct{}

func (nullHash) Write(p []byte) (int, error) { return len(p), nil }
func (nullHash) Sum(b []byte) []byte         { return b }
func (nullHash) Reset()                      {}
func (nullHash) Size() int                   { return 0 }
func (nullHash) BlockSize() int              { return 1 }

func TestReadSafetensorsRefusesAFileCutAtAnyByte(t *testing.T) {
	file := encode(t, someTensors(4), nil)
	for n := range len(file) {
		_, _, err := readBytes(file[:n])
		require.Error(t, err, "cut after %d bytes", n)
		// The file shrinks between the size check and the read.
		_, _, err = readTensors(bytes.NewReader(file[:n]), int64(len(file)))
		require.Error(t, err, "shrunk to %d bytes", n)
	}
}

// hostile builds a file from a header text and a number of data bytes.
func hostile(header string, data int) []byte {
	return append(append([]byte{byte(len(header)), byte(len(header) >> 8), 0, 0, 0, 0, 0, 0}, header...), make([]byte, data)...)
}

func TestReadSafetensorsRefuses(t *testing.T) {
	one := func(dtype, shape, offsets string) string {
		return fmt.Sprintf(`{"a":{"dtype":%s,"shape":%s,"data_offsets":%s}}`, dtype, shape, offsets)
	}
	two := func(first, second string) string {
		return fmt.Sprintf(`{"a":{"dtype":"U8","shape":[4],"data_offsets":%s},"b":{"dtype":"U8","shape":[4],"data_offsets":%s}}`, first, second)
	}
	for name, c := range map[string]struct {
		file []byte
		want string
	}{
		"an empty file":                   {nil, "too few"},
		"a header of 2^64-1 bytes":        {bytes.Repeat([]byte{255}, 16), "more than the"},
		"a header longer than the file":   {[]byte{100, 0, 0, 0, 0, 0, 0, 0, '{', '}'}, "truncated"},
		"an empty header":                 {hostile("", 0), "'{'"},
		"a header that is a list":         {hostile("[]", 0), "'{'"},
		"a header that begins with space": {hostile(" {}", 0), "'{'"},
		"broken JSON":                     {hostile(`{"a":`, 0), "valid JSON"},
		"two JSON values":                 {hostile(`{}{}`, 0), "valid JSON"},
		"a header that is not UTF-8":      {hostile("{\"\xff\":1}", 0), "UTF-8"},
		"a tensor that is a number":       {hostile(`{"a":1}`, 0), "want a JSON object"},
		"a name twice":                    {hostile(`{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}`, 0), "twice"},
		"a field twice":                   {hostile(`{"a":{"dtype":"U8","dtype":"I8","shape":[0],"data_offsets":[0,0]}}`, 0), "twice"},
		"an unknown field":                {hostile(`{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0],"x":1}}`, 0), "unknown field"},
		"an empty name":                   {hostile(`{"":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}`, 0), "no name"},
		"metadata that is a number":       {hostile(`{"__metadata__":{"a":1}}`, 0), "__metadata__"},
		"metadata that is null":           {hostile(`{"__metadata__":{"a":null}}`, 0), "null"},
		"an unknown dtype":                {hostile(one(`"C64"`, "[1]", "[0,8]"), 8), "unknown dtype"},
		"a missing dtype":                 {hostile(`{"a":{"shape":[0],"data_offsets":[0,0]}}`, 0), "unknown dtype"},
		"a missing shape":                 {hostile(`{"a":{"dtype":"F32","data_offsets":[0,4]}}`, 4), "shape"},
		"a missing position":              {hostile(`{"a":{"dtype":"U8","shape":[0]}}`, 0), "data_offsets"},
		"a negative axis":                 {hostile(one(`"U8"`, "[-4]", "[0,4]"), 4), "negative"},
		"an axis that is a fraction":      {hostile(one(`"U8"`, "[1.5]", "[0,4]"), 4), "shape"},
		"an axis that is null":            {hostile(one(`"U8"`, "[null]", "[0,0]"), 0), "null"},
		"an axis beyond 64 bits":          {hostile(one(`"U8"`, "[99999999999999999999]", "[0,4]"), 4), "shape"},
		"a shape whose size wraps to 4":   {hostile(one(`"F32"`, "[4611686018427387905]", "[0,4]"), 4), "can count"},
		"three positions":                 {hostile(one(`"U8"`, "[4]", "[0,4,8]"), 4), "[begin, end]"},
		"positions the wrong way round":   {hostile(one(`"U8"`, "[4]", "[4,0]"), 4), "[begin, end]"},
		"a negative position":             {hostile(one(`"U8"`, "[4]", "[-4,0]"), 4), "[begin, end]"},
		"a size that differs from shape":  {hostile(one(`"F32"`, "[4]", "[0,4]"), 4), "takes 16 bytes"},
		"data that is not there":          {hostile(one(`"U8"`, "[1000000000000]", "[0,1000000000000]"), 4), "truncated"},
		"trailing bytes":                  {hostile(one(`"U8"`, "[4]", "[0,4]"), 5), "1 bytes after the last"},
		"overlapping tensors":             {hostile(two("[0,4]", "[2,6]"), 6), "inside the tensor before"},
		"the same bytes twice":            {hostile(two("[0,4]", "[0,4]"), 4), "inside the tensor before"},
		"a gap between tensors":           {hostile(two("[0,4]", "[6,10]"), 10), "bytes 4 to 6"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := readBytes(c.file)
			require.ErrorContains(t, err, c.want)
		})
	}
}

func FuzzReadSafetensors(f *testing.F) {
	f.Add(encode(f, someTensors(5), map[string]string{"k": "v"}))
	f.Add(hostile(`{"a":{"dtype":"F32","shape":[2,0],"data_offsets":[0,0]},"b":{"dtype":"U8","shape":[],"data_offsets":[0,1]}}`, 1))
	f.Add(hostile(`{"__metadata__":{}}`, 0))
	f.Fuzz(func(t *testing.T, file []byte) {
		tensors, metadata, err := readBytes(file)
		if err != nil {
			return
		}
		again, metadataAgain, err := readBytes(encode(t, tensors, metadata))
		require.NoError(t, err, "what was read must be writable and readable")
		require.Equal(t, len(metadata), len(metadataAgain))
		want, err := fileOrder(tensors)
		require.NoError(t, err)
		require.Equal(t, want, again)
	})
}
