package lab

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// jupyterOf puts a Jupyter on the PATH that looks for kernels in one folder; front is a front end that it has, or "".
func jupyterOf(t *testing.T, front string) (data string) {
	t.Helper()
	bin, data := t.TempDir(), t.TempDir()
	program := func(name, body string) {
		require.NoError(t, os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+body+"\n"), 0o700))
	}
	program("jupyter", fmt.Sprintf(`echo '{"data": ["/nowhere", %q]}'`, data))
	if front != "" {
		program("jupyter-"+front, "")
	}
	t.Setenv("PATH", bin)
	return data
}

func kernelIn(t *testing.T, data, text string) (folder string) {
	t.Helper()
	folder = filepath.Join(data, "kernels", KernelName)
	require.NoError(t, os.MkdirAll(folder, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "kernel.json"), []byte(text), 0o600))
	return folder
}

func TestWhatNotebooksNeedIsFoundOrNamedWithItsRemedy(t *testing.T) {
	t.Run("no Jupyter", func(t *testing.T) {
		t.Setenv("PATH", t.TempDir())
		j := ExamineJupyter(context.Background())
		require.False(t, j.OK())
		require.Contains(t, j.Problems[0], "pip install jupyterlab")
	})
	t.Run("a Jupyter without GoNB", func(t *testing.T) {
		jupyterOf(t, "lab")
		j := ExamineJupyter(context.Background())
		require.Equal(t, []string{"Jupyter has no kernel gonb; install it with: workbench notebook --install"}, j.Problems)
		require.Equal(t, "lab", j.FrontEnd)
	})
	t.Run("a kernel that is damaged", func(t *testing.T) {
		kernelIn(t, jupyterOf(t, "lab"), "{")
		require.Contains(t, ExamineJupyter(context.Background()).Problems[0], "cannot be used")
	})
	t.Run("a kernel whose program is gone, and no goimports", func(t *testing.T) {
		kernelIn(t, jupyterOf(t, ""), `{"argv": ["/nowhere/gonb"]}`)
		j := ExamineJupyter(context.Background())
		require.Len(t, j.Problems, 2)
		require.Contains(t, j.Problems[0], `runs "/nowhere/gonb", which is not there`)
		require.Contains(t, j.Problems[1], "goimports")
		require.Contains(t, j.Advice[0], "VS Code")
	})
	t.Run("all of it", func(t *testing.T) {
		data := jupyterOf(t, "notebook")
		folder := filepath.Join(data, "kernels", KernelName)
		kernelIn(t, data, fmt.Sprintf(`{"argv": [%q]}`, filepath.Join(folder, "gonb")))
		for _, name := range []string{"gonb", "goimports"} {
			require.NoError(t, os.WriteFile(filepath.Join(folder, name), nil, 0o700))
		}
		j := ExamineJupyter(context.Background())
		require.True(t, j.OK(), j.Problems)
		require.Equal(t, filepath.Join(folder, "goimports"), j.Goimports)
		require.Contains(t, j.Advice[0], "gopls")
	})
	t.Run("a Jupyter that fails", func(t *testing.T) {
		bin := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(bin, "jupyter"), []byte("#!/bin/sh\necho broken >&2\nexit 3\n"), 0o700))
		t.Setenv("PATH", bin)
		require.Contains(t, ExamineJupyter(context.Background()).Problems[0], "exit status 3: broken")
	})
}

func TestTheKernelFindsGoimportsBesideItself(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kernel.json")
	require.NoError(t, os.WriteFile(path, []byte(`{"argv": ["gonb"], "env": {}}`), 0o600))
	require.NoError(t, setKernelEnvironment(path, "/kernel"))
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.JSONEq(t, `{"argv": ["gonb"], "env": {"PATH": "/kernel:${PATH}", "GOEXPERIMENT": "simd", "GOFLAGS": "-ldflags=-w"}}`, string(text))
}

func TestNotebooksAreFoundFromAnywhereInAClone(t *testing.T) {
	folder, err := Notebooks()
	require.NoError(t, err)
	require.FileExists(t, filepath.Join(folder, "01_patterns.ipynb"))
	t.Chdir(t.TempDir())
	_, err = Notebooks()
	require.ErrorContains(t, err, "is not in a clone of Tandem")
}
