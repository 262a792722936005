package runlog

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestARunIsWrittenByOneAtATimeAndOthersAreToldByWhom(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "first")
	require.NoError(t, os.Mkdir(folder, 0o700))
	require.Empty(t, WriterOf(folder))
	require.NoFileExists(t, filepath.Join(folder, LockFile), "asking makes no lock")
	lock, err := TakeLock(folder, []string{"/bin/workbench", "train"})
	require.NoError(t, err)
	for said, want := range map[string]string{
		"":                                  "another process",
		`{"pid": 7}`:                        "process 7",
		`{"pid": 7, "command": ["/bin/x"]}`: "process 7 (x)",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(folder, LockFile), []byte(said), 0o600))
		require.Equal(t, want, WriterOf(folder))
		_, err = TakeLock(folder, nil)
		require.EqualError(t, err, "lock run first: it is being written by "+want+"; wait for it, stop it, or choose another run")
	}
	lock.Release()
	require.Empty(t, WriterOf(folder))
	lock, err = TakeLock(folder, nil)
	require.NoError(t, err)
	require.Equal(t, "this process", WriterOf(folder))
	lock.Release()
	(*Lock)(nil).Release()
}

func TestAFolderThatCannotBeWrittenIsNotLocked(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err := TakeLock(file, nil)
	require.EqualError(t, err, "lock run file: "+file+" cannot be written: not a directory; make it a folder that can be written")
}
