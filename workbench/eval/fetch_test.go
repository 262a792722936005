package eval_test

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tandem/workbench/eval"
)

func zipOf(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var archive bytes.Buffer
	writer := zip.NewWriter(&archive)
	for name, text := range files {
		file, err := writer.Create(name)
		require.NoError(t, err)
		_, err = file.Write([]byte(text))
		require.NoError(t, err)
	}
	require.NoError(t, writer.Close())
	return archive.Bytes()
}

func inFolder(files map[string]string) map[string]string {
	moved := map[string]string{}
	for name, text := range files {
		moved["eval_bundle/"+name] = text
	}
	return moved
}

func fetch(source, cache string) (string, error) {
	return eval.FetchBundle(context.Background(), source, cache, func(string) {})
}

func TestABundleComesFromAFolderAnArchiveOrAnAddress(t *testing.T) {
	// Folders may have names that would be patterns.
	folder, cache := filepath.Join(t.TempDir(), "[a]"), filepath.Join(t.TempDir(), "[b")
	writeFiles(t, folder, inFolder(bundleFiles()))
	archive := zipOf(t, inFolder(bundleFiles()))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "bundle.zip"), archive, 0o644))
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		w.Write(archive)
	}))
	defer server.Close()
	address := fmt.Sprintf("%s/bundle.zip#sha256=%x", server.URL, sha256.Sum256(archive))
	for _, source := range []string{folder, filepath.Join(folder, "eval_bundle"), filepath.Join(folder, "bundle.zip"), address, address} {
		found, err := fetch(source, cache)
		require.NoError(t, err, source)
		bundle, err := eval.OpenBundle(found)
		require.NoError(t, err)
		require.Len(t, bundle.Tasks(), 3)
	}
	require.Equal(t, 1, asked, "what was downloaded is kept")
	left, err := fs.Glob(os.DirFS(cache), "*-*")
	require.NoError(t, err)
	require.Empty(t, left, "temporary files")
}

func TestArchivesThatCannotBeTrustedAreRefused(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "missing") {
			w.WriteHeader(http.StatusNotFound)
		}
		w.Write([]byte("hello"))
	}))
	defer server.Close()
	folder := t.TempDir()
	archives := map[string]map[string]string{"slip": {"../evil": "x", "core.yaml": ""}, "absolute": {"/evil": "x"}, "other": {"notes.txt": "x"}}
	for name, files := range archives {
		require.NoError(t, os.WriteFile(filepath.Join(folder, name+".zip"), zipOf(t, files), 0o644))
	}
	for name, test := range map[string]struct{ source, want string }{
		"a member outside its folder":  {filepath.Join(folder, "slip.zip"), `it holds "../evil", which is no plain file below its folder`},
		"a member at an absolute path": {filepath.Join(folder, "absolute.zip"), `it holds "/evil", which is no plain file below its folder`},
		"no bundle":                    {filepath.Join(folder, "other.zip"), "it holds no core.yaml; it is no CORE bundle"},
		"an empty folder":              {t.TempDir(), "holds no core.yaml; it is no CORE bundle"},
		"nothing":                      {"nowhere", `fetch bundle "nowhere": there is no such folder or file; give one, a .zip, or an address that begins with https://`},
		"a wrong checksum":             {server.URL + "/x#sha256=00", "its sha256 is 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824, and 00 was asked for"},
		"no archive":                   {server.URL + "/x", "zip: not a valid zip file"},
		"an answer that is an error":   {server.URL + "/missing", "the server answers 404 Not Found"},
	} {
		t.Run(name, func(t *testing.T) {
			cache := filepath.Join(t.TempDir(), "cache")
			_, err := fetch(test.source, cache)
			require.ErrorContains(t, err, test.want)
			entries, _ := filepath.Glob(filepath.Join(cache, "*"))
			require.Empty(t, entries, "nothing is left")
			require.NoFileExists(t, filepath.Join(cache, "..", "evil"))
		})
	}
}
