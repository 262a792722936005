package runlog

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAFullDiskLosesOnlyTheRecordsThatDidNotFit(t *testing.T) {
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("mounting a small disk needs root: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(disk, 0)) })
	filler, path := filepath.Join(disk, "filler"), filepath.Join(disk, MetricsFile)
	require.NoError(t, os.WriteFile(filler, make([]byte, 40<<10), 0o600))
	require.NoError(t, WriteRun(disk, 1))
	w := mustOpen(t, path)
	written := 0
	record := Record{Kind: KindSample, Time: noon, Text: map[string]string{"text": strings.Repeat("x", 1000)}}
	var err error
	for err == nil {
		if err = w.Write(record); err == nil {
			written++
		}
	}
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.ErrorIs(t, w.Write(record), syscall.ENOSPC, "and again, while it is full")
	require.ErrorIs(t, WriteRun(disk, strings.Repeat("x", 9000)), syscall.ENOSPC)
	var old int
	require.NoError(t, ReadRun(disk, &old), "the old run.json stays")

	require.NoError(t, os.Remove(filler))
	require.NoError(t, w.Write(record))
	require.NoError(t, w.Close())
	records, bad, err := Read(path)
	require.NoError(t, err)
	require.Len(t, records, written+1)
	require.LessOrEqual(t, len(bad), 2, "the lines that were cut")
	entries, err := os.ReadDir(disk)
	require.NoError(t, err)
	require.Len(t, entries, 2)
}
