package checkpoint

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// megabytes is a snapshot of about n MB, a third of it weights, as AdamW in float32 has it.
func megabytes(n int) Snapshot {
	tensors := func(mb int) (list []Tensor) {
		for i := range mb {
			list = append(list, Tensor{fmt.Sprintf("blocks.%d", i), "F32", []int{250, 1000}, make([]byte, 1_000_000)})
		}
		return list
	}
	return Snapshot{Model: tensors(n / 3), Optimizer: tensors(n - n/3)}
}

func BenchmarkSave(b *testing.B) {
	run, s := b.TempDir(), megabytes(300)
	b.SetBytes(s.bytes())
	for b.Loop() {
		_, err := Save(run, s)
		require.NoError(b, err)
	}
}

func BenchmarkLoad(b *testing.B) {
	s := megabytes(300)
	dir := mustSave(b, b.TempDir(), s)
	b.SetBytes(s.bytes())
	for b.Loop() {
		_, err := Load(dir)
		require.NoError(b, err)
	}
}

func BenchmarkVerify(b *testing.B) {
	s := megabytes(300)
	dir := mustSave(b, b.TempDir(), s)
	b.SetBytes(s.bytes())
	for b.Loop() {
		require.NoError(b, Verify(dir))
	}
}
