package lab

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"tandem/workbench/config"
)

// mounted is a folder with a small disk of its own in it, or a test that is skipped.
func mounted(t *testing.T, options string) string {
	t.Helper()
	folder := t.TempDir()
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, options); err != nil {
		t.Skipf("mounting a disk needs root: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(folder, 0)) })
	return folder
}

func trainTiny(t *testing.T, resume *Run, run string) error {
	t.Helper()
	var c config.Config
	require.NoError(t, json.Unmarshal(tinyRequest(t, run, 2).Config, &c))
	_, err := TrainConfig(within(t), &c, TrainOptions{Resume: resume})
	return err
}

func TestADiskThatIsReadOnlyRefusesANewRunAndOneToResumeBeforeTheWork(t *testing.T) {
	elsewhere(t)
	disk := mounted(t, "size=4m")
	require.NoError(t, trainTiny(t, nil, filepath.Join(disk, "old")))
	run, err := OpenRun(filepath.Join(disk, "old"))
	require.NoError(t, err)
	require.NoError(t, os.RemoveAll("corpus"), "an error about the corpus would come after the work")
	require.NoError(t, syscall.Mount("", disk, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
	require.EqualError(t, trainTiny(t, nil, filepath.Join(disk, "a", "new")), fmt.Sprintf(
		"make run %q: %s cannot be written: read-only file system; make it a folder that can be written, or give --run a path elsewhere", filepath.Join(disk, "a", "new"), disk))
	require.EqualError(t, trainTiny(t, run, ""), fmt.Sprintf(
		"lock run old: %s cannot be written: read-only file system; make it a folder that can be written", run.Folder))
}

func TestANewRunThatDoesNotFitTheDiskLeavesNothing(t *testing.T) {
	elsewhere(t)
	disk := mounted(t, "nr_inodes=4") // for the disk, the run, its lock and its tokenizer, but not for run.json
	require.ErrorIs(t, trainTiny(t, nil, filepath.Join(disk, "new")), syscall.ENOSPC)
	left, err := os.ReadDir(disk)
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestATuningThatDoesNotFitTheDiskLeavesNothing(t *testing.T) {
	parent := base(t)
	talk(t, 20)
	for name, tuned := range map[string]func(run string) error{
		"on conversations": func(run string) error {
			_, err := tune(t, within(t), TuneOptions{Parent: parent}, "run="+run)
			return err
		},
		"on rewards": func(run string) error {
			_, err := rl(t, within(t), RLOptions{Parent: parent}, "run="+run)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			disk := mounted(t, "nr_inodes=4") // as above
			require.ErrorIs(t, tuned(filepath.Join(disk, "new")), syscall.ENOSPC)
			left, err := os.ReadDir(disk)
			require.NoError(t, err)
			require.Empty(t, left)
		})
	}
}

func TestATrainingThatTheMachineHasNoMemoryForIsRefusedBeforeTheWork(t *testing.T) {
	elsewhere(t)
	require.NoError(t, os.RemoveAll("corpus"), "an error about the corpus would come after the refusal")
	for override, want := range map[string]string{
		"batch=1000000": `^train: T M with batch 1000000 and context \d+ takes at least [\d.]+ GiB in float32, and this machine has [\d.]+ GiB free; --batch \d+ may fit$`,
		"width=1048576": `free; not even --batch 1 fits: take fewer layers, a smaller vocabulary or a shorter context$`,
	} {
		var c config.Config
		require.NoError(t, json.Unmarshal(tinyRequest(t, "new", 2, override, "backend=go").Config, &c))
		_, err := TrainConfig(within(t), &c, TrainOptions{})
		require.Error(t, err, override)
		require.Regexp(t, want, err.Error())
		require.NoDirExists(t, "runs")
	}
}
