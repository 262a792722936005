package cli

import (
	"testing"

	"github.com/stretchr/testify/require"

	"tandem/workbench/bench"
)

func TestARowOfTheMemoryTableSaysWhatWasMeasured(t *testing.T) {
	const gib = 1 << 30
	c := bench.MemoryCase{Pattern: "T20", Batch: 4, Context: 1024, Checkpoint: 1, Accumulate: 2}
	for want, m := range map[string]bench.MemoryResult{
		"| T20 | 4 × 1024 | 1 | 2 | 9.00 | 10.00 | 9.50 | -10.0 % | -5.3 % | 3 × step within 12.00 GiB |": {
			MemoryCase: c, Predicted: 9 * gib, Planned: 10 * gib, Peak: 19 * gib / 2, Steps: 3, What: "step", Limit: 12 * gib},
		"| T20 | 4 × 1024 | 1 | 2 | 9.00 | – | – | – | – | failed: no a/b room |": {
			MemoryCase: c, Predicted: 9 * gib, What: "step", Problem: "no a|b\nroom"},
	} {
		require.Equal(t, want, memoryRow(m))
	}
}

func TestBadFlagsOfTheMemoryBenchAreRefused(t *testing.T) {
	good := memoryFlags{vocab: 300, steps: 1}
	cases, err := good.cases(nil)
	require.NoError(t, err)
	require.Len(t, cases, 24)
	for problem, f := range map[string]memoryFlags{
		"vocab 0, steps 1: give at least 1": {steps: 1},
		"vocab 300, steps 0: give at least": {vocab: 300},
		"limit -2: give GiB from 0":         {vocab: 300, steps: 1, limit: -2},
		"--here takes one case, got 0":      {vocab: 300, steps: 1, here: true},
	} {
		_, err := f.cases(nil)
		require.ErrorContains(t, err, problem)
	}
}
