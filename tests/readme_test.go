package tests

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func readme(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	return string(text)
}

// folders are those of the module that hold Go files, and a few that hold other things worth knowing of.
func folders(t *testing.T) []string {
	t.Helper()
	found := []string{"docs", "notebooks", "xla/kernels"}
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && path != ".." && strings.HasPrefix(entry.Name(), ".") {
			return filepath.SkipDir
		}
		folder := filepath.ToSlash(filepath.Dir(path))
		folder = strings.TrimPrefix(folder, "../")
		if filepath.Ext(path) == ".go" && !slices.Contains(found, folder) && folder != "tests/testkit" {
			found = append(found, folder)
		}
		return nil
	})
	require.NoError(t, err)
	slices.Sort(found)
	return found
}

func TestTheReadmesTreeIsTheTree(t *testing.T) {
	_, tree, found := strings.Cut(readme(t), "## The tree\n\n```\n")
	require.True(t, found)
	tree, _, _ = strings.Cut(tree, "```")
	var named []string
	for _, line := range strings.Split(strings.TrimSpace(tree), "\n") {
		folder, about, _ := strings.Cut(line, " ")
		require.NotEmpty(t, strings.TrimSpace(about), line)
		named = append(named, strings.TrimSuffix(folder, "/"))
	}
	slices.Sort(named)
	require.Equal(t, folders(t), named)
}

func TestTheFilesThatTheReadmeNamesExist(t *testing.T) {
	for _, found := range regexp.MustCompile("`([a-z]+(?:/[a-z_]+)+\\.go)`|\\]\\(([^)h][^)]*)\\)").FindAllStringSubmatch(readme(t), -1) {
		_, err := os.Stat(filepath.Join("..", found[1]+found[2]))
		require.NoError(t, err)
	}
}

// The commands run in order, as a reader would, with trainings cut short.
func TestTheReadmesCommandsRun(t *testing.T) {
	folder := t.TempDir()
	program := filepath.Join(folder, "workbench")
	build := exec.Command("go", "build", "-o", program, "../workbench")
	output, err := build.CombinedOutput()
	require.NoError(t, err, string(output))
	commands := regexp.MustCompile(`(?m)^go run \./workbench (.*)$`).FindAllStringSubmatch(readme(t), -1)
	require.Greater(t, len(commands), 5)
	for _, command := range commands {
		line := command[1]
		switch {
		case strings.HasPrefix(line, "train --resume"):
			line = strings.Replace(line, "--steps 400", "--steps 4", 1)
		case strings.HasPrefix(line, "train"):
			line += " --steps 2 --eval_batches 1 --save_every 2 --sample_tokens 4"
		}
		t.Run(command[1], func(t *testing.T) {
			run := exec.Command("sh", "-c", program+" "+line)
			run.Dir, run.WaitDelay = folder, time.Minute
			run.Env = append(os.Environ(), "TANDEM_CACHE="+filepath.Join(folder, "cache"))
			var stderr bytes.Buffer
			run.Stderr = &stderr
			stdout, err := run.Output()
			require.NoError(t, err, stderr.String())
			require.NotEmpty(t, stdout)
		})
	}
}
