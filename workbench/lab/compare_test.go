package lab

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tandem/workbench/config"
	"tandem/workbench/runlog"
)

// recordedRun is the folder of a run that has these lines of metrics; without any it has no such file, as an export.
func recordedRun(t *testing.T, name, pattern string, metrics ...string) {
	t.Helper()
	c, err := config.Load("", []string{"pattern=" + pattern})
	require.NoError(t, err)
	folder := filepath.Join(RunsFolder, name)
	require.NoError(t, runlog.WriteRun(folder, Info{Name: name, Config: c, Pattern: c.Model.Pattern.String()}))
	if len(metrics) > 0 {
		require.NoError(t, os.WriteFile(filepath.Join(folder, runlog.MetricsFile), []byte(strings.Join(metrics, "\n")+"\n"), 0o600))
	}
}

const firstStep = `{"kind":"step","step":1,"time":"2026-01-02T03:04:05Z","loss":5.5,"seconds":1,"tokens":1024}`

func TestAnExportWhichHasNoMetricsIsComparedAndShown(t *testing.T) {
	t.Chdir(t.TempDir())
	s := watched(t)
	recordedRun(t, "trained", "T2", firstStep)
	recordedRun(t, "exported", "T2")
	for _, references := range [][]string{nil, {"trained", "exported"}} {
		c, err := CompareRuns(references)
		require.NoError(t, err)
		require.Len(t, c.Entries, 2)
	}
	c, err := CompareRuns([]string{"exported"})
	require.NoError(t, err)
	require.Equal(t, []string{"exported", "T2"}, c.Table().Rows[0][:2])
	require.Equal(t, []string{"0", "0", "0", "-", "-", "-"}, c.Table().Rows[0][4:])
	require.NoError(t, Open("exported").Show().Err())
	require.Equal(t, "exported", s.panels[len(s.panels)-1].Title)
}

func TestARunThatCannotBeReadKeepsNoOtherFromBeingCompared(t *testing.T) {
	t.Chdir(t.TempDir())
	recordedRun(t, "trained", "T2", firstStep)
	require.NoError(t, os.MkdirAll("runs/broken", 0o700))
	require.NoError(t, os.WriteFile("runs/broken/run.json", []byte("{"), 0o600))
	c, err := CompareRuns(nil)
	require.NoError(t, err)
	require.Len(t, c.Entries, 1)
	_, err = CompareRuns([]string{"trained", "broken"})
	require.ErrorContains(t, err, "runs/broken/run.json", "a run that was asked for is an error")
	require.NoError(t, os.RemoveAll("runs/trained"))
	_, err = CompareRuns(nil)
	require.ErrorContains(t, err, "runs/broken/run.json", "as is one where there is no other")
}

func TestLossesThatAreNoNumbersAreNoCurve(t *testing.T) {
	t.Chdir(t.TempDir())
	recordedRun(t, "diverged", "T2", strings.Replace(firstStep, "5.5", `"NaN"`, 1))
	c, err := CompareRuns([]string{"diverged"})
	require.NoError(t, err)
	require.False(t, c.hasCurves())
	require.EqualError(t, c.Save("x.png"), `save picture "x.png": none of these has a step with a finite loss, so there is no curve`)
	require.NoFileExists(t, "x.png")
}

func TestAPatternStandsForARunThatWasTrainedRatherThanForItsNewerExport(t *testing.T) {
	t.Chdir(t.TempDir())
	recordedRun(t, "trained", "T2", firstStep)
	recordedRun(t, "exported", "T2")
	recordedRun(t, "alone", "M2")
	c, err := CompareRuns([]string{"T2", "M2"})
	require.NoError(t, err)
	require.Equal(t, "trained", c.Entries[0].Run)
	require.Equal(t, "alone", c.Entries[1].Run, "where there is no other, it is that one")
}
