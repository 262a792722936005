package hub_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tandem/tests/testkit"
	"tandem/workbench/data/hub"
)

const id = "owner/set"

// client reads from the fake hub into a cache of its own, and hardly waits between attempts.
func client(t testing.TB, server *testkit.Hub) *hub.Client {
	t.Helper()
	return &hub.Client{Endpoint: server.URL, Cache: t.TempDir(), Backoff: time.Millisecond, Stall: 10 * time.Second}
}

// noise is bytes that do not compress and differ by seed.
func noise(size int, seed uint64) []byte {
	random := rand.New(rand.NewPCG(seed, 1))
	var text bytes.Buffer
	for text.Len() < size {
		fmt.Fprintf(&text, "%016x", random.Uint64())
	}
	return text.Bytes()[:size]
}

// shards are count large parquet files of a train split.
func shards(count, size int) map[string][]byte {
	files := map[string][]byte{"README.md": []byte("about it")}
	for i := range count {
		files[fmt.Sprintf("data/train-%05d-of-%05d.parquet", i, count)] = noise(size, uint64(i))
	}
	return files
}

// download gets every file of the train split and compares it.
func download(t testing.TB, c *hub.Client, want map[string][]byte) *hub.Choice {
	t.Helper()
	choice, err := c.Parquet(t.Context(), id, hub.Main, "", "")
	require.NoError(t, err)
	for _, file := range choice.Files {
		path, err := c.Download(t.Context(), choice.Dataset, file)
		require.NoError(t, err)
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		require.True(t, bytes.Equal(want[file.Path], text), file.Path)
	}
	return choice
}

// requireLine checks that err is one line that holds all of parts.
func requireLine(t testing.TB, err error, parts ...string) {
	t.Helper()
	require.Error(t, err)
	require.NotContains(t, err.Error(), "\n")
	for _, part := range parts {
		require.Contains(t, err.Error(), part)
	}
}
