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
	"tandem/workbench/session"
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

func TestARunIsResumedAsTheModelThatItBeganAs(t *testing.T) {
	elsewhere(t)
	train := func(resume *Run, overrides ...string) error {
		t.Helper()
		var c config.Config
		require.NoError(t, json.Unmarshal(tinyRequest(t, "first", 2).Config, &c))
		if resume != nil {
			c = *resume.Info.Config
		}
		require.NoError(t, c.Override(overrides))
		_, err := TrainConfig(within(t), &c, TrainOptions{Resume: resume})
		return err
	}
	require.NoError(t, train(nil))
	for change, says := range map[string]string{
		"pattern=T":                   "resume first: pattern was T M and is now T, so it is of another architecture; leave out --pattern, or train a new run",
		"pattern=TMT":                 "resume first: pattern was T M and is now T M T, so",
		"softcap=30":                  "resume first: softcap was 15 and is now 30, so",
		"transformer.head_dim=8":      "resume first: transformer.head_dim was 16 and is now 8, so",
		"mamba.across_documents=true": "resume first: mamba.across_documents was false and is now true, so",
	} {
		run, err := OpenRun("first")
		require.NoError(t, err)
		require.ErrorContains(t, train(run, "steps=4", change), says)
		_, _, err = plannedTraining(session.TrainRequest{Resume: "first", Config: tinyRequest(t, "first", 4, change).Config})
		require.ErrorContains(t, err, says, "in a session, which answers before the training begins")
	}
	run, err := OpenRun("first")
	require.NoError(t, err)
	require.NoError(t, train(run, "steps=4", "pattern=TM", "width=16", "mamba.lr=1"), "what is as it was may be said, and rates may change")
}

func TestAPromptOfSamplesThatIsLongerThanTheContextIsRefusedBeforeTheWork(t *testing.T) {
	elsewhere(t)
	var c config.Config
	require.NoError(t, json.Unmarshal(tinyRequest(t, "short", 2, "context=8", "sample_prompt=the quick brown fox").Config, &c))
	_, err := TrainConfig(within(t), &c, TrainOptions{})
	require.ErrorContains(t, err, "train: sample_prompt has ")
	require.ErrorContains(t, err, " tokens and the context is 8; shorten it")
	require.NoDirExists(t, filepath.Join(RunsFolder, "short"))
}

func TestARunAtAPathMayEndInASeparatorAndIsCalledByItsPath(t *testing.T) {
	elsewhere(t)
	for given, want := range map[string]string{"new/": "./new", "far/away//": "far/away", "./near": "./near", "name": "name", "runs/second/": "second"} {
		var c config.Config
		require.NoError(t, json.Unmarshal(tinyRequest(t, given, 1).Config, &c))
		result, err := TrainConfig(within(t), &c, TrainOptions{})
		require.NoError(t, err, given)
		require.Equal(t, want, result.Run.Reference())
		found, err := OpenRun(result.Run.Reference())
		require.NoError(t, err)
		require.Equal(t, filepath.Base(given), found.Name)
	}
}
