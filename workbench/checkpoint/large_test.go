package checkpoint

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

const twoGiB = 2 << 30

// countingWriter counts and looks at nothing, so that huge zero tensors cost no memory.
type countingWriter struct{ size int64 }

func (w *countingWriter) Write(p []byte) (int, error) {
	w.size += int64(len(p))
	return len(p), nil
}

func TestTensorsOfMoreThanTwoGiBAreWritten(t *testing.T) {
	var w countingWriter
	require.NoError(t, WriteSafetensors(&w, []Tensor{{"embedding", "F32", []int{1, twoGiB/4 + 1}, make([]byte, twoGiB+4)}}, nil))
	require.Greater(t, w.size, int64(twoGiB+4))
}

func TestATensorBehindThreeGiBIsFound(t *testing.T) {
	const first = 3 << 30
	header := fmt.Sprintf(`{"a":{"dtype":"U8","shape":[%d],"data_offsets":[0,%d]},"b":{"dtype":"U8","shape":[4],"data_offsets":[%d,%d]}}`,
		first, first, first, first+4)
	file := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	file = append(file, header...)
	h, err := readHeader(bytes.NewReader(file), int64(len(file))+first+4)
	require.NoError(t, err)
	require.Equal(t, []tensorInfo{{"a", "U8", []int{first}, 0, first}, {"b", "U8", []int{4}, first, first + 4}}, h.tensors)
}

func TestATensorOfMoreThanTwoGiBSurvivesSaveAndLoad(t *testing.T) {
	if os.Getenv("TANDEM_LARGE") == "" {
		t.Skip("needs 5 GiB of memory and 2 GiB of disk; set TANDEM_LARGE=1 to run it")
	}
	data := make([]byte, twoGiB+8)
	copy(data, "head")
	copy(data[len(data)-4:], "tail")
	dir, err := Save(t.TempDir(), Snapshot{Model: []Tensor{{"embedding", "F32", []int{len(data) / 4}, data}}})
	require.NoError(t, err)
	s, err := Load(dir)
	require.NoError(t, err)
	require.Len(t, s.Model[0].Data, len(data))
	require.Equal(t, "head", string(s.Model[0].Data[:4]))
	require.Equal(t, "tail", string(s.Model[0].Data[len(data)-4:]))
}
