package tokenizer

import (
	"go/build"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// goSource yields up to limit bytes of the Go installation's own source files.
func goSource(tb testing.TB, limit int) iter.Seq2[string, error] {
	root := filepath.Join(build.Default.GOROOT, "src")
	if _, err := os.Stat(root); err != nil {
		tb.Skip("the benchmarks read GOROOT/src, which is absent:", err)
	}
	return func(yield func(string, error) bool) {
		left := limit
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.Type().IsRegular() || filepath.Ext(path) != ".go" {
				return err
			}
			data, err := os.ReadFile(path)
			if left -= len(data); err != nil || left < 0 || !yield(string(data), nil) {
				left = -1
				return filepath.SkipAll
			}
			return err
		})
		if err != nil && left >= 0 {
			yield("", err)
		}
	}
}

var benchTokenizer = sync.OnceValues(func() (*Tokenizer, error) {
	return Train(goSource(&testing.B{}, 10<<20), 32768)
})

func BenchmarkEncode32kVocabularyGoSource(b *testing.B) {
	tok, err := benchTokenizer()
	require.NoError(b, err)
	var text strings.Builder
	for file := range goSource(b, 4<<20) {
		text.WriteString(file)
	}
	ids := make([]int32, 0, text.Len())
	b.SetBytes(int64(text.Len()))
	b.ReportAllocs()
	for b.Loop() {
		ids = tok.AppendEncode(ids[:0], text.String())
	}
	b.ReportMetric(float64(text.Len())/float64(len(ids)), "bytes/token")
}

func BenchmarkEncodeOnePieceOf1MB(b *testing.B) {
	tok, err := benchTokenizer()
	require.NoError(b, err)
	text := strings.Repeat("abcde", 200_000)
	ids := make([]int32, 0, len(text))
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		ids = tok.AppendEncode(ids[:0], text)
	}
}

func BenchmarkTrain32kVocabularyOn20MBGoSource(b *testing.B) {
	const size = 20 << 20
	b.SetBytes(size)
	for b.Loop() {
		_, err := Train(goSource(b, size), 32768)
		require.NoError(b, err)
	}
}
