package checkpoint

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// snapshot's content is a function of step and generation, so that a mix of two saves cannot go unnoticed.
func snapshot(step, generation int) Snapshot {
	seed := uint64(step)<<8 + uint64(generation)
	model, _ := fileOrder(someTensors(2 * seed))
	optimizer, _ := fileOrder(someTensors(2*seed + 1))
	return Snapshot{
		Step: step, Model: model, Optimizer: optimizer,
		State:    json.RawMessage(fmt.Sprintf(`{"step": %d,  "generation": %d}`, step, generation)),
		Metadata: map[string]string{"step": fmt.Sprint(step)},
	}
}

func mustSave(t testing.TB, run string, s Snapshot) string {
	dir, err := Save(run, s)
	require.NoError(t, err)
	return dir
}

// tidyRun is a folder for a run; at the end of the test nothing but checkpoints may be in it.
func tidyRun(t *testing.T) string {
	run := filepath.Join(t.TempDir(), "run")
	t.Cleanup(func() {
		entries, err := os.ReadDir(run)
		require.NoError(t, err)
		for _, entry := range entries {
			_, ok := parseStep(entry.Name())
			require.True(t, ok, "left behind: %s", entry.Name())
			require.NotContains(t, entry.Name(), replacedSuffix)
		}
	})
	return run
}

func TestLoadReturnsWhatWasSaved(t *testing.T) {
	run := tidyRun(t)
	want := snapshot(500, 0)
	dir := mustSave(t, run, want)
	require.Equal(t, filepath.Join(run, "step-000500"), dir)
	have, err := Load(dir)
	require.NoError(t, err)
	require.Equal(t, want, have)
	require.NoError(t, Verify(dir))

	want.Optimizer = nil
	s, entry, skipped, err := LatestModel(run)
	require.NoError(t, err)
	require.Equal(t, Entry{dir, 500}, entry)
	require.Empty(t, skipped)
	require.Equal(t, want, s)
}

func TestAnEmptySnapshotIsSavedAndLoaded(t *testing.T) {
	have, err := Load(mustSave(t, tidyRun(t), Snapshot{}))
	require.NoError(t, err)
	require.Equal(t, Snapshot{Model: []Tensor{}, Optimizer: []Tensor{}, State: json.RawMessage("{}")}, have)
}

func TestACheckpointWithoutItsOptimizerDoesNotLoad(t *testing.T) {
	dir := mustSave(t, tidyRun(t), snapshot(1, 0))
	require.NoError(t, os.Remove(filepath.Join(dir, optimizerFile)))
	_, err := Load(dir)
	require.ErrorContains(t, err, "optimizer.safetensors is missing")
}

func TestSavingAStepAgainReplacesIt(t *testing.T) {
	run := tidyRun(t)
	mustSave(t, run, snapshot(3, 0))
	dir := mustSave(t, run, snapshot(3, 1))
	have, err := Load(dir)
	require.NoError(t, err)
	require.Equal(t, snapshot(3, 1), have)
}

func TestSaveRefusesWithoutTouchingTheRun(t *testing.T) {
	run := tidyRun(t)
	mustSave(t, run, snapshot(1, 0))
	for name, c := range map[string]struct {
		s    Snapshot
		want string
	}{
		"a negative step":           {Snapshot{Step: -1}, "negative"},
		"loop state that is broken": {Snapshot{Step: 2, State: json.RawMessage(`{"a":`)}, "not valid JSON"},
		"a tensor of a wrong size":  {Snapshot{Step: 2, Optimizer: []Tensor{{Name: "m", DType: "F32"}}}, "optimizer.safetensors"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Save(run, c.s)
			require.ErrorContains(t, err, c.want)
			_, entry, skipped, err := Latest(run)
			require.NoError(t, err)
			require.Equal(t, 1, entry.Step)
			require.Empty(t, skipped)
		})
	}
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err := Save(file, snapshot(1, 0))
	require.ErrorContains(t, err, "save checkpoint of step 1 in "+file)
}

func TestConcurrentSavesOfTheSameAndOtherStepsAllSucceed(t *testing.T) {
	run := tidyRun(t)
	t.Chdir(filepath.Dir(run))
	spellings := []string{run, filepath.Base(run)}
	var group sync.WaitGroup
	errs := make([]error, 24)
	for i := range errs {
		group.Go(func() { _, errs[i] = Save(spellings[i%2], snapshot(i/4, i%4)) })
	}
	group.Wait()
	require.NoError(t, errors.Join(errs...))
	valid, skipped, err := List(run)
	require.NoError(t, err)
	require.Empty(t, skipped)
	require.Len(t, valid, 6)
	for _, entry := range valid {
		require.NoError(t, Verify(entry.Dir))
	}
}

func TestListIsNewestFirstAlsoBeyondSixDigits(t *testing.T) {
	run := tidyRun(t)
	for _, step := range []int{999_999, 2, 1_000_000, 0, 10} {
		mustSave(t, run, snapshot(step, 0))
	}
	valid, skipped, err := List(run)
	require.NoError(t, err)
	require.Empty(t, skipped)
	var steps []int
	for _, entry := range valid {
		steps = append(steps, entry.Step)
	}
	require.Equal(t, []int{1_000_000, 999_999, 10, 2, 0}, steps)
}

func TestLatestSaysWhatItSkippedAndWhy(t *testing.T) {
	run := filepath.Join(t.TempDir(), "run")
	_, _, _, err := Latest(run)
	require.ErrorIs(t, err, ErrNone)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NoError(t, os.MkdirAll(filepath.Join(run, "step-000007"), 0o777))
	_, _, _, err = Latest(run)
	require.ErrorIs(t, err, ErrNone)
	require.ErrorContains(t, err, "step-000007 (no manifest.json")

	mustSave(t, run, snapshot(5, 0))
	require.NoError(t, os.Rename(mustSave(t, run, snapshot(6, 0)), filepath.Join(run, "step-000008")))
	require.NoError(t, os.Mkdir(filepath.Join(run, "step-9"), 0o777))
	s, entry, skipped, err := Latest(run)
	require.NoError(t, err)
	require.Equal(t, 5, entry.Step)
	require.Equal(t, snapshot(5, 0), s)
	require.Len(t, skipped, 3)
	require.Contains(t, fmt.Sprint(skipped), "step-9 (its name")
	require.Contains(t, fmt.Sprint(skipped), "step-000008 (manifest.json says step 6")
	require.Contains(t, fmt.Sprint(skipped), "step-000007 (no manifest.json")
}

func TestALinkToACheckpointThatIsAwayIsSaid(t *testing.T) {
	elsewhere, run := mustSave(t, tidyRun(t), snapshot(7, 0)), t.TempDir()
	if err := os.Symlink(elsewhere, filepath.Join(run, "step-000007")); err != nil {
		t.Skip("no links here: ", err)
	}
	_, entry, _, err := Latest(run)
	require.NoError(t, err)
	require.Equal(t, 7, entry.Step)
	require.NoError(t, os.RemoveAll(elsewhere))
	_, _, _, err = Latest(run)
	require.ErrorIs(t, err, ErrNone)
	require.ErrorContains(t, err, "step-000007 (stat "+filepath.Join(run, "step-000007"))
}

func TestAReplacedCheckpointIsFoundUntilItsSuccessorStands(t *testing.T) {
	run := tidyRun(t)
	dir := mustSave(t, run, snapshot(4, 0))
	// As if killed between the two renames.
	require.NoError(t, os.Rename(dir, dir+replacedSuffix))
	s, entry, skipped, err := Latest(run)
	require.NoError(t, err)
	require.Empty(t, skipped)
	require.Equal(t, Entry{dir + replacedSuffix, 4}, entry)
	require.Equal(t, snapshot(4, 0), s)

	// As if killed after the second: a broken successor does not win over the replaced one, a sound one does.
	require.NoError(t, os.Mkdir(dir, 0o777))
	_, entry, _, err = Latest(run)
	require.NoError(t, err)
	require.Equal(t, dir+replacedSuffix, entry.Dir)

	// As if killed after the second, and then the successor was damaged.
	require.NoError(t, os.Remove(dir))
	require.NoError(t, os.Rename(mustSave(t, tidyRun(t), snapshot(4, 1)), dir))
	corrupt(t, filepath.Join(dir, modelFile), -1)
	s, entry, skipped, err = Latest(run)
	require.NoError(t, err)
	require.Equal(t, dir+replacedSuffix, entry.Dir)
	require.Equal(t, snapshot(4, 0), s)
	require.Len(t, skipped, 1)
	mustSave(t, run, snapshot(4, 1))
	s, entry, _, err = Latest(run)
	require.NoError(t, err)
	require.Equal(t, dir, entry.Dir)
	require.Equal(t, snapshot(4, 1), s)
}

func TestRetainDeletesTheOldestOnlyBehindAVerifiedNewest(t *testing.T) {
	run := tidyRun(t)
	for step := range 5 {
		mustSave(t, run, snapshot(step, 0))
	}
	for _, keep := range []int{0, -1, 5, 9} {
		removed, err := Retain(run, keep)
		require.NoError(t, err)
		require.Empty(t, removed)
	}
	removed, err := Retain(run, 3)
	require.NoError(t, err)
	require.Equal(t, []string{filepath.Join(run, "step-000000"), filepath.Join(run, "step-000001")}, removed)

	corrupt(t, filepath.Join(run, "step-000004", modelFile), -1)
	_, err = Retain(run, 1)
	require.ErrorContains(t, err, "kept all")
	valid, _, err := List(run)
	require.NoError(t, err)
	require.Len(t, valid, 3)
	_, err = Retain(filepath.Join(run, "nowhere"), 1)
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestSaveSweepsOnlyWhatTheDeadLeftBehind(t *testing.T) {
	run := filepath.Join(t.TempDir(), "run")
	const dead = 1 << 30 // beyond any process number Linux hands out
	name := func(pid int, host string) string {
		return filepath.Join(run, fmt.Sprintf(".tmp-step-000001.%d.XYZ.%s", pid, host))
	}
	old := time.Now().Add(-2 * strangerAge)
	cases := map[string]struct {
		path        string
		old, inUse  bool
		wantRemoved bool
	}{
		"of a dead process here":                {path: name(dead, hostName()), wantRemoved: true},
		"of an earlier process with our number": {path: name(os.Getpid(), hostName()), wantRemoved: true},
		"of a save under way in this process":   {path: name(os.Getpid(), hostName()) + "2", inUse: true},
		"of a living process here":              {path: name(os.Getppid(), hostName()), old: true},
		"of another machine":                    {path: name(dead, "elsewhere")},
		"of another machine, long ago":          {path: name(dead, "elsewhere2"), old: true, wantRemoved: true},
		"of an unknown kind":                    {path: filepath.Join(run, ".tmp-whatever")},
		"of another program":                    {path: filepath.Join(run, "tmp-mine"), old: true},
	}
	for _, c := range cases {
		require.NoError(t, os.MkdirAll(c.path, 0o777))
		if c.old {
			require.NoError(t, os.Chtimes(c.path, old, old))
		}
		if c.inUse {
			inUse.Store(filepath.Base(c.path), true)
			defer inUse.Delete(filepath.Base(c.path))
		}
	}
	mustSave(t, run, snapshot(1, 0))
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := os.Stat(c.path)
			require.Equal(t, c.wantRemoved, errors.Is(err, os.ErrNotExist))
		})
	}
}
