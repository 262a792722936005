//go:build unix

package tokenizer

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"tandem/tests/testkit"
)

func TestLoadRefusesWhatIsNoRegularFileAtOnce(t *testing.T) {
	dir := t.TempDir()
	pipe, device := filepath.Join(dir, "pipe"), filepath.Join(dir, "device")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	require.NoError(t, os.Symlink(os.DevNull, device))
	for _, path := range []string{pipe, device, dir} {
		err := testkit.Promptly(t, func() error { _, err := Load(path); return err })
		require.EqualError(t, err, "load tokenizer "+path+": it is not a regular file")
	}
}
