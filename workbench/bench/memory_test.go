package bench

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestACaseOfTheMemoryBenchIsReadAsItIsWritten(t *testing.T) {
	for text, want := range map[string]MemoryCase{
		"T20:4x1024":       {Pattern: "T20", Batch: 4, Context: 1024, Accumulate: 1},
		"t12 m8:16x2048:1": {Pattern: "T12 M8", Batch: 16, Context: 2048, Checkpoint: 1, Accumulate: 1},
		"(TM)2:1x32:2:8":   {Pattern: "(TM)2", Batch: 1, Context: 32, Checkpoint: 2, Accumulate: 8},
	} {
		c, err := ParseMemoryCase(text)
		require.NoError(t, err)
		require.Equal(t, want, c)
		again, err := ParseMemoryCase(c.String())
		require.NoError(t, err)
		require.Equal(t, c, again)
	}
	for text, problem := range map[string]string{
		"": "write PATTERN:BATCHxCONTEXT", "T20": "write PATTERN:BATCHxCONTEXT", "T20:4": "write PATTERN:BATCHxCONTEXT", "T20:0x8": "at least 1",
		"T20:4x-1": "write PATTERN", "X2:4x8": "there are T (transformer)", "T20:99999999999999x8": "write PATTERN",
	} {
		_, err := ParseMemoryCase(text)
		require.ErrorContains(t, err, problem, text)
	}
}

func TestTheGridOfTheMemoryBenchHas24DifferentCases(t *testing.T) {
	grid := MemoryGrid()
	require.Len(t, grid, 24)
	seen := map[string]bool{}
	for _, c := range grid {
		seen[c.String()] = true
		again, err := ParseMemoryCase(c.String())
		require.NoError(t, err)
		require.Equal(t, c, again)
	}
	require.Len(t, seen, 24)
}
