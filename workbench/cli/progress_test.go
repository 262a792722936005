package cli

import (
	"bytes"
	"testing"

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
