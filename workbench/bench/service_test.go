package bench

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestATokenizerIsMadeUpForAVocabulary(t *testing.T) {
	for _, vocab := range []int{265, 300, 4096, 65536} {
		tok, err := madeUpTokenizer(vocab)
		require.NoError(t, err)
		require.Equal(t, vocab, tok.VocabSize())
		require.Equal(t, "any text", tok.Decode(tok.Encode("any text")))
	}
	_, err := madeUpTokenizer(500_000)
	require.ErrorContains(t, err, "at most 456976")
}
