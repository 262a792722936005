package cli

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tandem/workbench/config"
	"tandem/workbench/lab"
)

func TestThePublishedTableOfStatesIsWhatTheCommandPrints(t *testing.T) {
	published, err := os.ReadFile("../../docs/benchmarks/state.md")
	require.NoError(t, err)
	var states []lab.RowState
	for _, pattern := range []string{"T20", "T12 M8", "(TM)10", "M18 T2", "M20"} {
		loaded, err := config.Load("", []string{"vocab=65536", "pattern=" + pattern})
		require.NoError(t, err)
		state, err := lab.RowStates(loaded, []int{2048, 8192, 32768})
		require.NoError(t, err)
		states = append(states, state)
	}
	var table strings.Builder
	require.NoError(t, printStates(&table, states))
	require.Contains(t, string(published), regexp.MustCompile(`(?m)^`).ReplaceAllString(strings.TrimSpace(table.String()), "    "))
}
