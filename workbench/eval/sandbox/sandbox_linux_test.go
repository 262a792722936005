package sandbox_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tandem/workbench/eval/sandbox"
)

// open makes a sandbox with short limits, and finds an interpreter for it.
func open(t *testing.T, limits sandbox.Limits) (run func(program string) sandbox.Result, isolated bool) {
	t.Helper()
	s, err := sandbox.New(limits)
	if err != nil {
		t.Skip(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	python, err := s.Python(ctx)
	if err != nil {
		t.Skip(err)
	}
	return func(program string) sandbox.Result {
		result, err := s.RunPython(ctx, python, program)
		require.NoError(t, err)
		return result
	}, strings.Contains(s.Protection(), "own namespaces")
}

func TestAProgramsOutputAndExitAreSeen(t *testing.T) {
	run, _ := open(t, sandbox.Limits{})
	result := run("import math, sys\nprint(math.factorial(10))\nsys.exit(3)")
	require.Equal(t, "3628800\n", result.Stdout)
	require.Equal(t, 3, result.Exit)
	require.Empty(t, result.Killed)

	result = run("def f(:\n")
	require.Equal(t, 1, result.Exit)
	require.Contains(t, result.LastLine(), "SyntaxError")
}

func TestWhatAProgramMayNotUseIsBounded(t *testing.T) {
	run, isolated := open(t, sandbox.Limits{Time: 2 * time.Second, Memory: 128 << 20, Files: 1 << 20, Output: 1000})
	secret := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(secret, []byte("secret"), 0o644))
	t.Setenv("SANDBOX_SECRET", "secret")

	for _, test := range []struct {
		name, program string
		namespaces    bool // only they prevent it
		want          func(t *testing.T, r sandbox.Result)
	}{
		{"an endless loop", "while True: pass", false, func(t *testing.T, r sandbox.Result) {
			require.Equal(t, "time", r.Killed)
			require.Less(t, r.Time, 20*time.Second)
		}},
		{"memory", "x = bytearray(1 << 30)", false, func(t *testing.T, r sandbox.Result) {
			require.Equal(t, "MemoryError", r.LastLine())
		}},
		{"memory bit by bit", "x = []\nwhile True: x.append(' ' * 1000000)", false, func(t *testing.T, r sandbox.Result) {
			require.Equal(t, "MemoryError", r.LastLine())
		}},
		{"processes", "import os\nn = 0\ntry:\n  while True:\n    if os.fork() == 0:\n      import time; time.sleep(60)\n    n += 1\nexcept OSError as e:\n  print(n < 10, e.errno)", true, func(t *testing.T, r sandbox.Result) {
			require.Equal(t, "True 11\n", r.Stdout)
		}},
		{"a fork bomb", "import os\nwhile True:\n  try: os.fork()\n  except OSError: pass", true, func(t *testing.T, r sandbox.Result) {
			require.Equal(t, "time", r.Killed)
			require.Less(t, r.Time, 20*time.Second)
		}},
		{"output", "while True: print('x' * 10000)", false, func(t *testing.T, r sandbox.Result) {
			require.Len(t, r.Stdout, 1000)
			require.True(t, r.Cut)
		}},
		{"large files", "open('big', 'wb').write(b'x' * (2 << 20))", false, func(t *testing.T, r sandbox.Result) {
			require.Contains(t, r.LastLine(), "OSError")
		}},
		{"many files", "for i in range(100): open(f'f{i}', 'wb').write(b'x' * 100000)", true, func(t *testing.T, r sandbox.Result) {
			require.Contains(t, r.LastLine(), "No space left on device")
		}},
		{"the environment", "import os\nprint(os.environ.get('SANDBOX_SECRET'), os.environ.get('HOME'))", false, func(t *testing.T, r sandbox.Result) {
			require.Equal(t, "None None\n", r.Stdout)
		}},
		{"files of temporary folders", "print(open(" + fmt.Sprintf("%q", secret) + ").read())", true, func(t *testing.T, r sandbox.Result) {
			require.Contains(t, r.LastLine(), "FileNotFoundError")
		}},
		{"files outside its folder", "open('/usr/sandbox-was-here', 'w')", true, func(t *testing.T, r sandbox.Result) {
			require.Contains(t, r.LastLine(), "Read-only file system")
		}},
		{"the network", "import socket\nsocket.create_connection(('192.0.2.1', 80), timeout=1)", true, func(t *testing.T, r sandbox.Result) {
			require.Contains(t, r.LastLine(), "Network is unreachable")
		}},
		{"other processes", "import os\nprint(os.getpid(), os.listdir('/proc'))", true, func(t *testing.T, r sandbox.Result) {
			require.Equal(t, "1 []\n", r.Stdout)
		}},
		{"its own limits", "import resource\nresource.setrlimit(resource.RLIMIT_AS, (1 << 40, 1 << 40))", true, func(t *testing.T, r sandbox.Result) {
			require.Contains(t, r.LastLine(), "ValueError")
		}},
		{"the mounts", "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\nprint(libc.mount(b'none', b'/', None, 32, None), ctypes.get_errno())", true, func(t *testing.T, r sandbox.Result) {
			require.Equal(t, "-1 1\n", r.Stdout)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.namespaces && !isolated {
				t.Skip("the kernel allows no namespaces")
			}
			t.Parallel()
			test.want(t, run(test.program))
		})
	}
}

func TestAProgramMayWriteToItsOwnFolder(t *testing.T) {
	run, _ := open(t, sandbox.Limits{})
	result := run("open('a', 'w').write('hello')\nprint(open('a').read())")
	require.Equal(t, "hello\n", result.Stdout, result.Stderr)
}

func TestWhatAProgramLeavesBehindIsKilled(t *testing.T) {
	run, isolated := open(t, sandbox.Limits{Time: 3 * time.Second})
	if !isolated {
		t.Skip("the kernel allows no namespaces")
	}
	result := run("import os, sys, time\nif os.fork() == 0:\n  os.setsid()\n  time.sleep(60)\nprint('done')")
	require.Equal(t, "done\n", result.Stdout)
	require.Less(t, result.Time, 20*time.Second, "the child held the output open")
}

func TestACancelledRunIsAnError(t *testing.T) {
	s, err := sandbox.New(sandbox.Limits{})
	if err != nil {
		t.Skip(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = s.Run(ctx, []string{"/bin/sleep", "60"}, "")
	require.ErrorIs(t, err, context.Canceled)
}
