package cli

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"tandem/workbench/lab"
)

func TestTheBarFollowsATrainingThatFindsMoreStepsAsItGoes(t *testing.T) {
	var shown bytes.Buffer
	view := &progress{out: &shown, terminal: true}
	for _, at := range [][2]int{{80, 100}, {100, 254}, {250, 254}, {254, 240}} {
		view.report(lab.Event{Kind: lab.EventStep, Step: at[0], Steps: at[1]})
	}
	require.Contains(t, shown.String(), "(80/100)")
	require.Contains(t, shown.String(), "(250/254)", "it does not stand still at its first end")
	view.close()
}

func TestTheBarFitsIntoTheLineOfTheTerminal(t *testing.T) {
	var shown bytes.Buffer // which counts as a terminal of 80 columns
	view := &progress{out: &shown, terminal: true}
	for _, step := range []int{1, 50_000, 100_000} {
		e := lab.Event{Kind: lab.EventStep, Step: step, Steps: 100_000, TokensPerSecond: 165_700, Remaining: 83 * time.Minute, DataWait: 0.5}
		e.Metrics.Loss = 7.5
		view.report(e)
	}
	view.close()
	require.Contains(t, shown.String(), "loss 7.5000  165700 tokens/s")
	require.Contains(t, shown.String(), "(50000/100000)")
	for _, line := range strings.FieldsFunc(shown.String(), func(r rune) bool { return r == '\r' || r == '\n' }) {
		require.Less(t, utf8.RuneCountInString(line), 80, "%q would go on below, and stay there", line)
	}
}

func TestANarrowTerminalGetsPlainLines(t *testing.T) {
	for columns, want := range map[int]bool{0: false, 20: false, 59: false, 60: true, 80: true} {
		require.Equal(t, want, hasBar(columns), columns)
	}
}
