package generate

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDefaultsSuitTheBackend(t *testing.T) {
	for kind, want := range map[string]Options{
		"go":   {Capacity: 32, Rows: 8, Queue: 1024, TokensPerTrip: 1, Chunks: []int{16, 64, 256}},
		"cpu":  {Capacity: 32, Rows: 8, Queue: 1024, TokensPerTrip: 32, Chunks: []int{16, 64, 256}},
		"cuda": {Capacity: 32, Rows: 32, Queue: 1024, TokensPerTrip: 32, Chunks: []int{16, 64, 256, 1024}},
	} {
		got, err := Options{}.resolved(kind, 32)
		require.NoError(t, err)
		require.Equal(t, want, got, kind)
	}
	given := Options{Capacity: 5, Rows: 2, Queue: 3, TokensPerTrip: 4, Chunks: []int{9, 7}}
	got, err := given.resolved("cuda", 32)
	require.NoError(t, err)
	require.Equal(t, Options{Capacity: 5, Rows: 2, Queue: 3, TokensPerTrip: 4, Chunks: []int{7, 9}}, got)
	require.Equal(t, []int{9, 7}, given.Chunks, "the caller's are not sorted")
}

func TestAPromptIsFedInTheLongestChunksThatItFills(t *testing.T) {
	o, err := Options{}.resolved("cuda", 4096)
	require.NoError(t, err)
	for left, want := range map[int]int{1: 16, 16: 16, 63: 16, 64: 64, 300: 256, 1023: 256, 1024: 1024, 4096: 1024} {
		require.Equal(t, want, o.chunk(left), "%d tokens left", left)
	}
}
