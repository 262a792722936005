//go:build unix

package runlog

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"tandem/tests/testkit"
)

func TestWhatIsNoRegularFileIsRefusedAtOnceAndTheOtherRunsAreListed(t *testing.T) {
	for kind, place := range map[string]func(path string) error{
		"a pipe":   func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"a folder": func(path string) error { return os.Mkdir(path, 0o700) },
		"a device": func(path string) error { return os.Symlink(os.DevNull, path) },
	} {
		t.Run(kind, func(t *testing.T) {
			runs := t.TempDir()
			silent, nameless := filepath.Join(runs, "silent"), filepath.Join(runs, "nameless")
			require.NoError(t, WriteRun(silent, 1))
			require.NoError(t, place(filepath.Join(silent, MetricsFile)))
			writeFile(t, filepath.Join(nameless, MetricsFile), `{"kind":"step","step":4}`+"\n")
			require.NoError(t, place(filepath.Join(nameless, RunFile)))
			writeFile(t, filepath.Join(runs, "whole", MetricsFile), `{"kind":"step","step":5}`+"\n")

			for name, use := range map[string]func() error{
				"reading metrics": func() error { _, _, err := Read(filepath.Join(silent, MetricsFile)); return err },
				"writing metrics": func() error { _, _, err := Open(filepath.Join(silent, MetricsFile)); return err },
				"reading a run":   func() error { return ReadRun(nameless, new(int)) },
			} {
				require.ErrorContains(t, testkit.Promptly(t, use), "is not a regular file; move it away", name)
			}
			var list []Run
			require.NoError(t, testkit.Promptly(t, func() (err error) { list, err = List(runs); return err }))
			require.Len(t, list, 3)
			for _, run := range list {
				if run.Name == "silent" {
					require.Contains(t, run.Problem, "metrics.jsonl is not a regular file")
				} else {
					require.Empty(t, run.Problem)
					require.Contains(t, []int{4, 5}, run.Summary.Steps)
				}
			}
		})
	}
}
