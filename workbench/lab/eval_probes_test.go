package lab

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestASmallModelLearnsAProbe(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "probes")
	s := ProbeSettings{Patterns: []string{"M"}, Probes: []string{"induction"}, Width: 32, Length: 16, Lengths: []int{16}, Steps: 80, Batch: 16, Examples: 64}
	var said []string
	study, err := RunProbes(context.Background(), s, "go", folder, func(line string) { said = append(said, line) })
	require.NoError(t, err)
	require.Len(t, study.Points, 1)
	require.Greater(t, study.Points[0].Accuracy, 0.3, "guessing gives 0.067")
	require.Len(t, said, 1)
	for _, name := range []string{"study.json", "study.md", "induction.svg"} {
		require.FileExists(t, filepath.Join(folder, name))
	}
	_, err = RunProbes(context.Background(), s, "go", folder, nil)
	require.ErrorContains(t, err, "holds a study already; choose another --out FOLDER")
}

func TestAnInterruptedStudyIsSaid(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	folder := filepath.Join(t.TempDir(), "probes")
	_, err := RunProbes(ctx, ProbeSettings{Patterns: []string{"T"}, Probes: []string{"recall"}, Width: 16}, "go", folder, nil)
	require.ErrorIs(t, err, ErrInterrupted)
	require.EqualError(t, err, "probes: interrupted after 0 of 1 trainings; each one finished is in "+folder)
}
