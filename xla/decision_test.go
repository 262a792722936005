package xla

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// reasonOf is why an operation's definition was last taken.
func reasonOf(operation string) string {
	decisions.Lock()
	defer decisions.Unlock()
	return decisionOf(operation).Reason
}

func TestTheReasonForNotTakingAKernelIsLoggedOnce(t *testing.T) {
	var log bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	t.Cleanup(func() { slog.SetDefault(before) })
	for _, reason := range []string{"", "too wide", "too wide", "too long"} {
		note("test_logged", reason)
	}
	require.Equal(t, 1, strings.Count(log.String(), "\n"), log.String())
	require.Contains(t, log.String(), `level=WARN msg="test_logged runs without its CUDA kernel" reason="too wide"`)
	require.Equal(t, "too long", reasonOf("test_logged"))
}
