package sandbox

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestWithoutNamespacesTheLimitsStillHold(t *testing.T) {
	s := &Sandbox{limits: Limits{Time: 2 * time.Second, Memory: 128 << 20}.resolved(), bare: "a test"}
	require.Contains(t, s.Protection(), "no namespaces (a test), so network and the user's files are within its reach")
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	python, err := s.Python(ctx)
	if err != nil {
		t.Skip(err)
	}
	for program, want := range map[string]func(Result) bool{
		"x = bytearray(1 << 30)": func(r Result) bool { return r.LastLine() == "MemoryError" },
		"while True: pass":       func(r Result) bool { return r.Killed == "time" },
		"import os; print(len(os.environ), os.listdir('.'))":                func(r Result) bool { return r.Stdout == "0 []\n" || r.Stdout == "1 []\n" }, // Python may set LC_CTYPE
		"open('a', 'w').write('hello'); print(open('a').read())":            func(r Result) bool { return r.Stdout == "hello\n" },
		"import resource; resource.setrlimit(resource.RLIMIT_AS, (-1, -1))": func(r Result) bool { return r.Exit == 1 },
	} {
		result, err := s.RunPython(ctx, python, program)
		require.NoError(t, err)
		require.True(t, want(result), "%s: %+v", program, result)
	}
}
