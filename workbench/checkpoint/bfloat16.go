package checkpoint

import (
	"encoding/binary"
	"math"
)

// Narrowed is a tensor of F32 in BF16, rounded to the nearest, of two to the even one; another tensor is left as it is.
func (t Tensor) Narrowed() Tensor {
	if t.DType != "F32" {
		return t
	}
	narrow := make([]byte, len(t.Data)/2)
	for i := 0; i < len(narrow); i += 2 {
		bits := binary.LittleEndian.Uint32(t.Data[2*i:])
		if math.IsNaN(float64(math.Float32frombits(bits))) {
			bits |= 1 << 22 // so that none becomes an infinity
		} else {
			bits += 0x7fff + bits>>16&1
		}
		binary.LittleEndian.PutUint16(narrow[i:], uint16(bits>>16))
	}
	t.DType, t.Data = "BF16", narrow
	return t
}

// Widened is a tensor of BF16 in F32, with the same values; another tensor is left as it is.
func (t Tensor) Widened() Tensor {
	if t.DType != "BF16" {
		return t
	}
	wide := make([]byte, 2*len(t.Data))
	for i := 0; i < len(t.Data); i += 2 {
		copy(wide[2*i+2:], t.Data[i:i+2])
	}
	t.DType, t.Data = "F32", wide
	return t
}
