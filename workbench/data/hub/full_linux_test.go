package hub_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"tandem/tests/testkit"
	"tandem/workbench/data/hub"
)

func TestAFullDiskIsSaidAndWhatCameStays(t *testing.T) {
	server := testkit.NewHub(t)
	files := shards(1, 600_000)
	server.Add(id, "main", nil, files)
	c := client(t, server)
	if err := syscall.Mount("tmpfs", c.Cache, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("mounting a small disk needs root: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(c.Cache, 0)) })
	filler := filepath.Join(c.Cache, "filler")
	require.NoError(t, os.WriteFile(filler, make([]byte, 700_000), 0o666))
	choice, err := c.Parquet(t.Context(), id, hub.Main, "", "")
	require.NoError(t, err)
	_, err = c.Download(t.Context(), choice.Dataset, choice.Files[0])
	requireLine(t, err, "no space left", "free some space, or set HF_HOME")
	require.ErrorIs(t, err, syscall.ENOSPC)

	require.NoError(t, os.Remove(filler))
	server.Requests()
	download(t, c, files)
	requests := server.Requests()
	require.Regexp(t, `bytes=[1-9]\d{4,}-$`, requests[len(requests)-1], "it goes on from what came")
}
