package lab

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"tandem/workbench/eval"
)

func TestTheNewestReportIsThatOfTheLastStepHoweverManyDigitsItHas(t *testing.T) {
	run := &Run{Name: "long", Folder: t.TempDir()}
	_, err := newestReport(run)
	require.ErrorContains(t, err, "it was not evaluated yet")
	for name, step := range map[string]int{"step-999999": 999999, "step-1000000": 1000000, "step-000500": 500} {
		report := eval.Report{Step: step}
		require.NoError(t, report.Save(filepath.Join(run.Folder, EvalFolder, name)))
	}
	report, err := newestReport(run)
	require.NoError(t, err)
	require.Equal(t, 1000000, report.Step)
}
