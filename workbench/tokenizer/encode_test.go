package tokenizer

import (
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

const prose = `The quick brown fox jumps over the lazy dog. Pack my box with five dozen
liquor jugs; how quickly daft jumping zebras vex! It's the dog's day, they're
saying, and we'll see: 1234567 times, "the" other one. Über-naïve café, 日本語のテキスト.
	if err != nil { return fmt.Errorf("open %s: %w", path, err) }

The other day the other dog, the quicker one, jumped over the other fox. aaaaaaaa bababababa
`

// trained is a small tokenizer with merges that overlap and nest.
var trained = sync.OnceValue(func() *Tokenizer {
	t, err := Train(texts(prose), 265+150)
	if err != nil {
		panic(err)
	}
	return t
})

// naiveEncode does what BPE says, one merge at a time over the whole rule list.
func naiveEncode(t *Tokenizer, text string) []int32 {
	out := []int32{}
	for _, piece := range oraclePieces(text) {
		var ids []int32
		for i := range len(piece) {
			ids = append(ids, int32(piece[i]))
		}
		for again := true; again; {
			again = slices.ContainsFunc(t.rules, func(r rule) bool { return applyFirst(&ids, r) })
		}
		out = append(out, ids...)
	}
	return out
}

// applyFirst applies r at its leftmost place in ids, if any.
func applyFirst(ids *[]int32, r rule) bool {
	for i := 1; i < len(*ids); i++ {
		if (*ids)[i-1] == r.left && (*ids)[i] == r.right {
			*ids = slices.Replace(*ids, i-1, i+1, r.id)
			return true
		}
	}
	return false
}

func TestEncodeEqualsNaiveMerging(t *testing.T) {
	tok := trained()
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		var text strings.Builder
		for range random.IntN(80) {
			start := random.IntN(len(prose) - 6)
			text.WriteString(prose[start : start+1+random.IntN(5)])
		}
		require.Equal(t, naiveEncode(tok, text.String()), tok.Encode(text.String()), "%q", text.String())
	}
}

func TestLongPiecesMergeAsShortOnesDo(t *testing.T) {
	tok := trained()
	random := rand.New(rand.NewPCG(3, 4))
	for length := 2; length < 3*shortPiece; length++ {
		piece := make([]byte, length)
		for i := range piece {
			piece[i] = "abtheo"[random.IntN(6)]
		}
		heaped := newQueue().merge(tok, nil, string(piece))
		require.Equal(t, naiveEncode(tok, string(piece)), heaped, "%s", piece)
		require.Equal(t, heaped, tok.Encode(string(piece)), "%s", piece)
	}
}

func TestAMegabyteWithoutSpacesEncodes(t *testing.T) {
	text := strings.Repeat("ab", 1<<19)
	require.Equal(t, text, trained().Decode(trained().Encode(text)))
}

func TestEveryByteAndPairOfBytesRoundTrips(t *testing.T) {
	tok := trained()
	for a := range 256 {
		for b := range 256 {
			text := string([]byte{byte(a), byte(b)})
			require.Equal(t, text, tok.Decode(tok.Encode(text)))
		}
	}
}

func FuzzRoundTrip(f *testing.F) {
	f.Add(prose)
	f.Add("\xff\xfe<|bos|>\x00 \u2028\xe2\x80")
	f.Fuzz(func(t *testing.T, text string) {
		tok := trained()
		ids := tok.Encode(text)
		require.Equal(t, text, tok.Decode(ids))
		bytes := 0
		for _, id := range ids {
			require.Less(t, id, tok.BOS(), "ordinary text must not give a special token")
			bytes += int(tok.ByteLengths()[id])
		}
		require.Equal(t, len(text), bytes)
	})
}

func TestSpecials(t *testing.T) {
	tok := trained()
	require.Equal(t, specialNames, tok.Specials())
	for i, name := range specialNames {
		id, ok := tok.Special(name)
		require.True(t, ok)
		require.Equal(t, int32(tok.VocabSize()-9+i), id)
		require.Equal(t, name, tok.Decode([]int32{id}))
		require.Equal(t, []byte(name), tok.Token(id))
		require.Zero(t, tok.ByteLengths()[id])
		require.NotContains(t, tok.Encode(name), id)
	}
	_, ok := tok.Special("<|eos|>")
	require.False(t, ok)
	require.Equal(t, int32(265+150-9), tok.BOS())
}

func TestIdsOutOfRangeDecodeToTheReplacementCharacter(t *testing.T) {
	tok := trained()
	outside := int32(tok.VocabSize())
	require.Equal(t, "a\uFFFD\uFFFDb", tok.Decode([]int32{'a', -1, outside, 'b'}))
	require.Nil(t, tok.Token(-1))
	require.Nil(t, tok.Token(outside))
}

func TestChangingATokensBytesDoesNotChangeTheTokenizer(t *testing.T) {
	tok := trained()
	tok.Token('a')[0] = 'x'
	require.Equal(t, "a", tok.Decode([]int32{'a'}))
}

func TestAppendEncodeKeepsItsPrefixAndDoesNotAllocate(t *testing.T) {
	tok := trained()
	require.Equal(t, append([]int32{7}, tok.Encode(prose)...), tok.AppendEncode([]int32{7}, prose))
	buffer := make([]int32, 0, len(prose))
	require.Zero(t, testing.AllocsPerRun(10, func() { tok.AppendEncode(buffer, prose) }))
}

func TestEncodingConcurrentlyGivesTheSameIds(t *testing.T) {
	tok := trained()
	text := prose + strings.Repeat("ab", 500)
	want := tok.Encode(text)
	var group sync.WaitGroup
	got := make([][]int32, 8)
	for i := range got {
		group.Go(func() {
			for range 20 {
				got[i] = tok.Encode(text)
			}
		})
	}
	group.Wait()
	for _, ids := range got {
		require.Equal(t, want, ids)
	}
}
