package lab_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tandem/workbench/config"
	"tandem/workbench/lab"
)

func configured(t *testing.T, overrides ...string) *config.Config {
	t.Helper()
	c, err := config.Load("", overrides)
	require.NoError(t, err)
	return c
}

func TestMemoryAndParametersAreThereWithinATenthOfASecond(t *testing.T) {
	for _, pattern := range []string{"T32", "M32", "T16 M16"} {
		c := configured(t, "pattern="+pattern, "vocab=65536")
		gpu, err := lab.FindGPU("b200")
		require.NoError(t, err)
		fastest := time.Hour // of several, for a busy machine may stop one
		for range 5 {
			started := time.Now()
			_, err = lab.Memory(c, &gpu)
			require.NoError(t, err)
			_, err = lab.Params(c)
			require.NoError(t, err)
			fastest = min(fastest, time.Since(started))
		}
		require.Less(t, fastest, 100*time.Millisecond, pattern)
	}
}

// Each batch that is tried counts all layers once: what would count them all again for each layer takes minutes here.
func TestMemoryOfThousandsOfLayersIsThereWithinSeconds(t *testing.T) {
	c := configured(t, "pattern=(TM)1000", "width=64", "transformer.head_dim=32")
	gpu, err := lab.FindGPU("h100")
	require.NoError(t, err)
	started := time.Now()
	_, err = lab.Memory(c, &gpu)
	require.NoError(t, err)
	require.Less(t, time.Since(started), 10*time.Second)
}

// What the project claims of small cards, by prediction; workbench bench memory --limit puts it to the proof on a GPU.
func TestTheClaimedTrainingsFitTheirCards(t *testing.T) {
	for _, c := range []struct {
		name, gpu string
		overrides []string
	}{
		{"16 layers in 12 GB", "rtx3060", []string{"batch=8", "context=1024"}},
		{"20 layers in 12 GB", "rtx3060", []string{"batch=4", "context=1024"}},
		{"20 layers in 16 GB", "rtx4080", []string{"batch=8", "context=2048", "checkpoint=1"}},
		{"26 layers in 24 GB", "rtx4090", []string{"batch=16", "context=2048", "checkpoint=1"}},
	} {
		depth := c.name[:2]
		for _, pattern := range []string{"T" + depth, "M" + depth, "(TM)" + map[string]string{"16": "8", "20": "10", "26": "13"}[depth]} {
			t.Run(c.name+", "+pattern, func(t *testing.T) {
				gpu, err := lab.FindGPU(c.gpu)
				require.NoError(t, err)
				report, err := lab.Memory(configured(t, append(c.overrides, "pattern="+pattern, "vocab=65536")...), &gpu)
				require.NoError(t, err)
				require.True(t, report.Card.Fits)
			})
		}
	}
}

func TestATrainingThatDoesNotFitSaysWhatToChange(t *testing.T) {
	gpu, err := lab.FindGPU("rtx3060")
	require.NoError(t, err)
	report, err := lab.Memory(configured(t, "depth=20", "vocab=65536", "context=2048", "batch=16"), &gpu)
	require.ErrorIs(t, err, lab.ErrTooSmall)
	require.ErrorContains(t, err, "T20 with batch 16 and context 2048 takes")
	require.ErrorContains(t, err, "does not fit RTX 3060, which has 10.80 GiB for it; the fastest that fits is --batch ")
	require.False(t, report.Card.Fits)
	require.Less(t, report.Card.LargestBatch, 16)

	best := report.Card.Settings[0]
	require.Equal(t, 16, best.Batch*best.Accumulate)

	_, err = lab.Memory(configured(t, "depth=60", "vocab=65536", "context=2048"), &gpu)
	require.ErrorContains(t, err, "not even --batch 1 --checkpoint 1 fits: take fewer layers, a smaller vocabulary or a shorter context; as it is it fits ")
}

func TestAStateOfMoreBytesThanCanBeCountedIsRefused(t *testing.T) {
	c := configured(t, "pattern=T20")
	_, err := lab.RowStates(c, []int{1, 5e18})
	require.EqualError(t, err, "memory states: tokens 5000000000000000000: the state has more bytes than can be counted; give at most 90071992547409")
	at, err := lab.RowStates(c, []int{90071992547409})
	require.NoError(t, err)
	require.Positive(t, at.Bytes[0])
}
