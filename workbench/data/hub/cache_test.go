package hub_test

import (
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tandem/tests/testkit"
	"tandem/workbench/data/hub"
)

func TestAFullCacheServesWithoutTheHub(t *testing.T) {
	server := testkit.NewHub(t)
	files := shards(2, 500)
	server.Add(id, "main", nil, files)
	c := client(t, server)
	download(t, c, files)
	server.Requests()

	offline := client(t, server)
	offline.Cache, offline.Offline = c.Cache, true
	download(t, offline, files)
	require.Empty(t, server.Requests())

	away := client(t, server)
	away.Cache, away.Endpoint, away.Attempts = c.Cache, "http://127.0.0.1:1", 2
	var said []string
	away.Say = func(text string) { said = append(said, text) }
	download(t, away, files)
	require.Contains(t, said[len(said)-1], "using the cache")

	server.Misbehave = func(w http.ResponseWriter, _ *http.Request, _ int) bool {
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	}
	down := client(t, server)
	down.Cache, down.Attempts, down.Say = c.Cache, 2, away.Say
	download(t, down, files)
	require.Contains(t, said[len(said)-1], "the hub says 503 Service Unavailable (2 attempts); using the cache")
	server.Misbehave = nil

	// Other tools keep no listing: what is in the snapshot is then all there is.
	require.NoError(t, os.RemoveAll(filepath.Join(c.Cache, "datasets--owner--set", "listings")))
	download(t, offline, files)

	empty := client(t, server)
	empty.Offline = true
	_, err := empty.Parquet(t.Context(), id, hub.Main, "", "")
	requireLine(t, err, "owner/set", "is not in the cache", "HF_HUB_OFFLINE is set; unset it")
}

// The hub's own tools keep a small file under git's sum and a large one under its sha256, and may keep the bytes of that in
// a store of all datasets under a third name. They often fetch the card too.
func TestACacheThatTheHubsToolsFilledIsReadByItsCard(t *testing.T) {
	const commit = "0123456789abcdef0123456789abcdef01234567"
	git, sha256, shared := strings.Repeat("ab", 20), strings.Repeat("cd", 32), strings.Repeat("ef", 32)
	readme := "---\nlicense:\n- mit\ndataset_info:\n- config_name: main\nconfigs:\n- config_name: main\n  data_files:\n" +
		"  - split: train\n    path: main/train-*\n- config_name: other\n  data_files: other/*\n---\n\n# A card\n"
	for _, test := range []struct {
		name, readme, config string
		parts                []string // of the error
	}{
		{"the card tells configurations", readme, "main", nil},
		{"a card of another system", strings.ReplaceAll(readme, "\n", "\r\n"), "main", nil},
		{"a card without a head", "# A card\n", "main", []string{`no configuration "main"; it has default`}},
		{"a head that is no YAML", "---\nconfigs: [\n---\n", "main", []string{`no configuration "main"; it has default`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := &hub.Client{Cache: t.TempDir(), Offline: true}
			put := func(text string, path ...string) {
				path = append([]string{c.Cache}, path...)
				require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(path...)), 0o777))
				require.NoError(t, os.WriteFile(filepath.Join(path...), []byte(text), 0o666))
			}
			link := func(target string, path ...string) {
				path = append([]string{c.Cache}, path...)
				require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(path...)), 0o777))
				require.NoError(t, os.Symlink(target, filepath.Join(path...)))
			}
			const folder = "datasets--owner--set"
			put(commit, folder, "refs", "main")
			put(test.readme, folder, "blobs", git)
			put("many bytes", "blobs", "ef", shared)
			link("../../blobs/ef/"+shared, folder, "blobs", sha256)
			link("../../blobs/"+git, folder, "snapshots", commit, "README.md")
			link("../../../blobs/"+sha256, folder, "snapshots", commit, "main", "train-00000-of-00001.parquet")

			choice, err := c.Parquet(t.Context(), id, hub.Main, test.config, "")
			if test.parts != nil {
				requireLine(t, err, test.parts...)
				return
			}
			require.NoError(t, err)
			require.Equal(t, "mit", choice.Dataset.Licence)
			require.Equal(t, []hub.File{{Path: "main/train-00000-of-00001.parquet", Size: 10, SHA256: sha256}}, choice.Files)
			require.Equal(t, git, choice.Dataset.Files[0].GitSHA1)
			_, whole := c.Cached(choice.Dataset, choice.Files[0])
			require.True(t, whole)
		})
	}
}

// Whoever may write to them may choose the files that others read.
func TestWhatTheCacheKnowsIsNotForOthersToWrite(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("files have no such modes there")
	}
	server := testkit.NewHub(t)
	files := shards(1, 500)
	server.Add(id, "main", nil, files)
	c := client(t, server)
	choice := download(t, c, files)
	folder := filepath.Join(c.Cache, "datasets--owner--set")
	for _, path := range []string{filepath.Join(folder, "refs", "main"), filepath.Join(folder, "listings", choice.Dataset.Commit+".json")} {
		stat, err := os.Stat(path)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o644), stat.Mode(), path)
	}
}

func TestAnIncompleteCacheIsToldOffline(t *testing.T) {
	server := testkit.NewHub(t)
	files := shards(2, 500)
	server.Add(id, "main", nil, files)
	c := client(t, server)
	choice := download(t, c, files)
	path, whole := c.Cached(choice.Dataset, choice.Files[1])
	require.True(t, whole)
	require.NoError(t, os.Truncate(path, 100))
	offline := client(t, server)
	offline.Cache, offline.Offline = c.Cache, true
	choice, err := offline.Parquet(t.Context(), id, hub.Main, "", "")
	require.NoError(t, err)
	_, err = offline.Download(t.Context(), choice.Dataset, choice.Files[1])
	requireLine(t, err, "data/train-00001-of-00002.parquet", "not in the cache", "unset it to download")
	download(t, c, files) // and with the hub it is mended
}
