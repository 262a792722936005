//go:build unix

package tokenizer

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLoadRefusesWhatIsNoRegularFileAtOnce(t *testing.T) {
	dir := t.TempDir()
	pipe, device := filepath.Join(dir, "pipe"), filepath.Join(dir, "device")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	require.NoError(t, os.Symlink(os.DevNull, device))
	for _, path := range []string{pipe, device, dir} {
		done := make(chan error, 1)
		go func() { _, err := Load(path); done <- err }()
		select {
		case err := <-done:
			require.EqualError(t, err, "load tokenizer "+path+": it is not a regular file")
		case <-time.After(20 * time.Second):
			t.Fatalf("Load(%s) hangs", path)
		}
	}
}
