package session

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAFullDiskIsSaid(t *testing.T) {
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("mounting a small disk needs root: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(disk, 0)) })
	runs := filepath.Join(disk, "runs")
	p, err := placeIn(runs)
	require.NoError(t, err)
	require.NoError(t, p.make())
	filler, err := os.Create(filepath.Join(disk, "filler"))
	require.NoError(t, err)
	for err == nil {
		_, err = filler.Write(make([]byte, 4096))
	}
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.NoError(t, filler.Close())

	_, err = Ensure(soon(t), runs, Start{Command: command(os.Args[0])})
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.ErrorContains(t, err, "start a session: its log: write ")
	err = Serve(soon(t), &fake{}, ServeOptions{Runs: runs})
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.ErrorContains(t, err, "serve a session: write the session's state: ")

	require.NoError(t, os.Remove(filler.Name()))
	serve(t, &fake{}, runs).end(t)
}
