//go:build unix

package checkpoint

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
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
			require.ErrorContains(t, promptly(t, func() error { _, err := Load(dir); return err }), want)
			require.ErrorContains(t, promptly(t, func() error { return Verify(dir) }), want)
			var entry Entry
			var skipped []Skipped
			require.NoError(t, promptly(t, func() (err error) { _, entry, skipped, err = Latest(run); return err }))
			require.Equal(t, 1, entry.Step)
			require.Len(t, skipped, 1)
			require.Contains(t, skipped[0].Reason, want)
		})
	}
}

// promptly is the call's error; a call that hangs fails the test.
func promptly(t *testing.T, call func() error) error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- call() }()
	select {
	case err := <-done:
		return err
	case <-time.After(20 * time.Second):
		t.Fatal("the call hangs")
		return nil
	}
}
