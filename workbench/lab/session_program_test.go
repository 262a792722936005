package lab

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"tandem/workbench/session"
)

func TestABuildIsNamedByTheSourceItIsMadeOf(t *testing.T) {
	module := t.TempDir()
	write := func(name, text string) {
		path := filepath.Join(module, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	named := func() string {
		hash := sha256.New()
		require.NoError(t, hashSource(hash, module))
		return fmt.Sprintf("%x", hash.Sum(nil))
	}
	for _, folder := range sourceFolders {
		write(filepath.Join(folder, "a.go"), "package a\n")
	}
	write("go.mod", "module tandem\n")
	write("go.sum", "")
	before := named()
	write("runs/first/run.json", "{}")
	write("docs/LOG.go", "package no")
	write("workbench/a_test.go", "package a")
	write("workbench/notes.md", "no source")
	require.Equal(t, before, named(), "none of these is built")
	for name, text := range map[string]string{"workbench/a.go": "package b\n", "xla/kernels/scan.ptx": ".version", "go.mod": "module tandem // 2\n"} {
		write(name, text)
		after := named()
		require.NotEqual(t, before, after, name)
		before = after
	}
	require.Error(t, hashSource(sha256.New(), ""))
	require.Regexp(t, "^[0-9a-f]{12}$", build())
	require.DirExists(t, filepath.Join(moduleFolder(), "workbench", "lab"))
}

// The program is kept, and started by any clone with the same source, when the one it was built in may be gone.
func TestABuiltProgramKeepsTheNameOfItsSource(t *testing.T) {
	if testing.Short() {
		t.Skip("it links the workbench")
	}
	folder, err := os.MkdirTemp("", "tandem") // a socket needs a short path
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(folder) })
	program, name := filepath.Join(folder, "workbench"), "another-clone"
	t.Setenv(IdleVariable, "1m") // should this test fail to stop it
	require.NoError(t, buildProgram(within(t), moduleFolder(), name, program))
	t.Chdir(folder)
	command := func(context.Context) ([]string, error) { return []string{program, "session", "serve"}, nil }
	client, err := session.Ensure(within(t), RunsFolder, session.Start{Command: command, Build: name, Say: func(line string) { t.Log(line) }})
	require.NoError(t, err)
	defer func() { require.NoError(t, client.Shutdown(within(t))) }()
	require.Empty(t, client.Notices())

	require.ErrorContains(t, buildProgram(within(t), folder, name, program), "build the workbench in "+folder)
}

func TestIdleTimes(t *testing.T) {
	for text, want := range map[string]string{"": session.DefaultIdle.String(), "2h": "2h0m0s", "never": "-1ns"} {
		got, err := idleTime(text)
		require.NoError(t, err)
		require.Equal(t, want, got.String(), text)
	}
	for _, text := range []string{"soon", "-1s", "0s", "30"} {
		_, err := idleTime(text)
		require.EqualError(t, err, fmt.Sprintf("idle time %q: must be a time such as 30m or 2h, or never", text))
	}
}
