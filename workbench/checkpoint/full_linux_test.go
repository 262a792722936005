package checkpoint

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// smallDisk mounts a file system of the given size for the test.
func smallDisk(t *testing.T, size string) string {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("mounting a small disk needs root: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(dir, 0)) })
	return dir
}

func TestAFullDiskFailsTheSaveAndNothingElse(t *testing.T) {
	disk := smallDisk(t, "1m")
	run := filepath.Join(disk, "run")
	filler := filepath.Join(disk, "filler")
	mustSave(t, run, snapshot(1, 0))
	big := func(step int) Snapshot {
		s := snapshot(step, 0)
		s.Optimizer = []Tensor{{"moments", "F32", []int{40_000}, make([]byte, 160_000)}}
		return s
	}
	failed, saved := 0, 0
	// One page more is free at every turn, so that each file in turn is the one that does not fit.
	for pages := 0; pages < 60; pages++ {
		os.Remove(filler)
		fill(t, filler, disk, int64(pages))
		_, err := Save(run, big(2))
		s, entry, skipped, latestErr := Latest(run)
		require.NoError(t, latestErr)
		require.Empty(t, skipped)
		if err == nil {
			require.Equal(t, 2, entry.Step)
			require.NoError(t, os.RemoveAll(entry.Dir))
			saved++
			continue
		}
		failed++
		require.Zero(t, saved, "more room must not make it fail again")
		require.ErrorIs(t, err, syscall.ENOSPC)
		require.ErrorContains(t, err, "free about 1 MB")
		require.Equal(t, 1, entry.Step)
		require.Equal(t, snapshot(1, 0), s)
		entries, err := os.ReadDir(run)
		require.NoError(t, err)
		require.Len(t, entries, 1, "the unfinished save must be removed")
	}
	require.Positive(t, failed)
	require.Positive(t, saved)
}

// fill leaves the given number of pages free.
func fill(t *testing.T, path, disk string, pages int64) {
	var stat syscall.Statfs_t
	require.NoError(t, syscall.Statfs(disk, &stat))
	size := (int64(stat.Bfree) - pages) * stat.Bsize
	require.Positive(t, size)
	require.NoError(t, os.WriteFile(path, make([]byte, size), 0o600))
}
