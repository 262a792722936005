package xla

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

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
	require.Contains(t, Fallbacks(), "test_logged runs without its CUDA kernel: too long")
}
