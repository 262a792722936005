//go:build unix

package checkpoint

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"tandem/tests/testkit"
)

func TestAPipeInPlaceOfAnyFileIsNamedAndTheOlderCheckpointUsed(t *testing.T) {
	for _, name := range append([]string{manifestFile}, contentFiles...) {
		t.Run(name, func(t *testing.T) {
			run := tidyRun(t)
			mustSave(t, run, snapshot(1, 0))
			dir := mustSave(t, run, snapshot(2, 0))
			require.NoError(t, os.Remove(filepath.Join(dir, name)))
			require.NoError(t, syscall.Mkfifo(filepath.Join(dir, name), 0o600))
			want := name + " is not a regular file"
			require.ErrorContains(t, testkit.Promptly(t, func() error { _, err := Load(dir); return err }), want)
			require.ErrorContains(t, testkit.Promptly(t, func() error { return Verify(dir) }), want)
			var entry Entry
			var skipped []Skipped
			require.NoError(t, testkit.Promptly(t, func() (err error) { _, entry, skipped, err = Latest(run); return err }))
			require.Equal(t, 1, entry.Step)
			require.Len(t, skipped, 1)
			require.Contains(t, skipped[0].Reason, want)
		})
	}
}
