package lab

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tandem/workbench/config"
)

// A corpus that is not there stands for the work: an error about it means that the place was not looked at before.
func TestARunThatCouldNotBeWrittenIsRefusedBeforeTheWorkAndLeavesNothing(t *testing.T) {
	for name, c := range map[string]struct {
		run  string
		make func(t *testing.T)
		want string
	}{
		"a file above it":        {"file/new", nil, `make run "file/new": file cannot be written: not a directory; make it a folder`},
		"a file far above it":    {"file/a/b/new", nil, `make run "file/a/b/new": file cannot be written: not a directory; make it a folder`},
		"a file in its place":    {"./file", nil, `make run "./file": ./file is not a folder; move it away, or choose another --run NAME`},
		"a link that leads away": {"./link", nil, `make run "./link": ./link is not a folder; move it away, or choose another --run NAME`},
		"a link above it":        {"link/new", nil, `make run "link/new": link cannot be written: no such file or directory; make it a folder`},
		"a name too long": {strings.Repeat("x", 300), func(t *testing.T) { require.NoError(t, os.Mkdir(RunsFolder, 0o700)) },
			`cannot be written: file name too long; make it a folder`},
		"a file where runs are": {"", func(t *testing.T) { require.NoError(t, os.WriteFile(RunsFolder, nil, 0o600)) },
			`make a run: runs cannot be written: not a directory; make it a folder that can be written, or give --run a path elsewhere`},
		"a run of that name": {"old", func(t *testing.T) { require.NoError(t, os.MkdirAll(filepath.Join(RunsFolder, "old"), 0o700)) },
			`make run "old": runs/old exists; continue it with --resume, or choose another --run NAME`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			require.NoError(t, os.WriteFile("file", nil, 0o600))
			require.NoError(t, os.Symlink("nowhere", "link"))
			if c.make != nil {
				c.make(t)
			}
			before := filesHere(t)
			request := tinyRequest(t, c.run, 1, "data=nowhere.txt")
			if c.run != "" { // without a name a session gives it one
				_, _, err := plannedTraining(request)
				require.ErrorContains(t, err, c.want, "in a session, which answers before the training begins")
			}
			var asked config.Config
			require.NoError(t, json.Unmarshal(request.Config, &asked))
			_, err := TrainConfig(within(t), &asked, TrainOptions{})
			require.ErrorContains(t, err, c.want)
			require.Equal(t, before, filesHere(t))
		})
	}
}

func filesHere(t *testing.T) (paths []string) {
	require.NoError(t, filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		paths = append(paths, path)
		return err
	}))
	return paths
}
