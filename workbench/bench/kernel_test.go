package bench

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSizesThatNoKernelCanHaveAreRefusedInOneLine(t *testing.T) {
	for _, c := range []struct {
		name    string
		kernel  string
		shape   KernelShape
		repeats int
		want    string
	}{
		{"no channels", "scan", KernelShape{Batch: 1, Time: 8, States: 4}, 1, "bench scan: inner 0: must lie between 1 and 2147483648"},
		{"no states", "scan", KernelShape{Batch: 1, Time: 8, Channels: 16}, 1, "bench scan: state 0: must lie between 1 and 2147483648"},
		{"negative rows", "attention", KernelShape{Batch: -1, Time: 8, Channels: 16, Heads: 1}, 1, "bench attention: batch -1: must lie between 1 and 2147483648"},
		{"no taps", "conv", KernelShape{Batch: 1, Time: 8, Channels: 16}, 1, "bench conv: conv 0: must lie between 1 and 2147483648"},
		{"more than memory holds", "conv", KernelShape{Batch: 100_000, Time: 1_000_000, Channels: 16, Taps: 4}, 1,
			"bench conv: one tensor would hold 1.6e+12 numbers, and at most 2147483648 are measured; lower batch or context"},
		{"a median of nothing", "conv", KernelShape{Batch: 1, Time: 8, Channels: 16, Taps: 4}, 0, "bench: repeats 0: must be positive"},
		{"an operation that there is not", "sort", KernelShape{}, 1, `bench "sort": unknown operation; there are [scan conv attention]`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Kernel(context.Background(), c.kernel, "go", c.shape, c.repeats)
			require.EqualError(t, err, c.want)
		})
	}
	_, err := Kernel(context.Background(), "conv", "go", KernelShape{Batch: 1, Time: 8, Channels: 16, Taps: 4}, 1)
	require.NoError(t, err, "a small one is measured")
}
