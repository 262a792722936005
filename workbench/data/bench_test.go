package data

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func BenchmarkGodocDocuments(b *testing.B) {
	c, err := Open("godoc:net")
	require.NoError(b, err)
	for b.Loop() {
		size := 0
		for text, err := range c.Documents() {
			require.NoError(b, err)
			size += len(text)
		}
		b.SetBytes(int64(size))
	}
}

func BenchmarkTokenize(b *testing.B) {
	c := &listCorpus{texts: randomTexts(rand.New(rand.NewPCG(1, 1)), 4000, 8000)}
	size := 0
	for _, text := range c.texts {
		size += len(text)
	}
	b.SetBytes(int64(size))
	for b.Loop() {
		s, err := Tokenize(b.Context(), c, byteEncoder{}, b.TempDir(), nil)
		require.NoError(b, err)
		require.NoError(b, s.Close())
	}
}

func BenchmarkNext(b *testing.B) {
	s := tokenize(b, &listCorpus{texts: randomTexts(rand.New(rand.NewPCG(1, 1)), 8000, 4000)}, byteEncoder{})
	for _, shape := range [][2]int{{8, 256}, {32, 2048}, {4, 16384}} {
		b.Run(fmt.Sprintf("batch=%d/time=%d", shape[0], shape[1]), func(b *testing.B) {
			it, err := NewBatches(s, BatchOptions{Batch: shape[0], Time: shape[1], Loop: true})
			require.NoError(b, err)
			b.ReportAllocs()
			for b.Loop() {
				_, err := it.Next()
				require.NoError(b, err)
			}
			b.ReportMetric(float64(shape[0]*shape[1]*b.N)/b.Elapsed().Seconds(), "tokens/s")
			b.ReportMetric(100*it.Stats().Utilisation(), "%used")
		})
	}
}
