package checkpoint

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNarrowingRoundsToTheNearestAndWideningKeepsTheValue(t *testing.T) {
	inf := float32(math.Inf(1))
	for _, test := range []struct {
		name        string
		value, want float32
	}{
		{"a value of eight bits stays", 1.5, 1.5},
		{"minus zero stays", float32(math.Copysign(0, -1)), float32(math.Copysign(0, -1))},
		{"below the half it goes down", 1 + 1.0/512, 1 + 0},
		{"above the half it goes up", 1 + 1.0/256 + 1.0/65536, 1 + 1.0/128},
		{"the half goes to the even one, below", 1 + 1.0/256, 1},
		{"the half goes to the even one, above", 1 + 3.0/256, 1 + 2.0/128},
		{"infinity stays", -inf, -inf},
		{"too large becomes infinity", math.MaxFloat32, inf},
	} {
		t.Run(test.name, func(t *testing.T) {
			wide := Tensor{Name: "x", DType: "F32", Shape: []int{1}, Data: binary.LittleEndian.AppendUint32(nil, math.Float32bits(test.value))}
			narrow := wide.Narrowed()
			require.Equal(t, "BF16", narrow.DType)
			require.Len(t, narrow.Data, 2)
			back := narrow.Widened()
			require.Equal(t, "F32", back.DType)
			require.Equal(t, math.Float32bits(test.want), binary.LittleEndian.Uint32(back.Data))
			require.Equal(t, narrow, back.Narrowed())
		})
	}
	nan := Tensor{DType: "F32", Shape: []int{1}, Data: binary.LittleEndian.AppendUint32(nil, 0x7f800001)}
	require.True(t, math.IsNaN(float64(math.Float32frombits(binary.LittleEndian.Uint32(nan.Narrowed().Widened().Data)))))
	other := Tensor{DType: "I32", Shape: []int{1}, Data: []byte{1, 2, 3, 4}}
	require.Equal(t, other, other.Narrowed())
	require.Equal(t, other, other.Widened())
}
