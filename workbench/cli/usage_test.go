package cli

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMistakesOnTheCommandLineHaveTheExitCodeOfUsage(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, command := range [][]string{
		{"nonsense"}, {"params", "--width", "-5"}, {"session", "nonsense"}, {"tokenizer", "nonsense"}, {"bench", "nonsense"},
		{"bench", "train", "--repeats", "0"}, {"bench", "scan", "--state", "0"}, {"bench", "attention", "--repeats", "-1"}, {"bench", "conv", "--batch", "0"},
		{"bench", "decode", "--rows", "0"}, {"bench", "prefill", "--repeats", "0"}, {"bench", "serve", "--clients", "0"}, {"bench", "memory", "T20:4"},
		{"bench", "prefill", "--context", "32", "--prompt", "33"},
	} {
		require.Equal(t, exitUsage, Main(command), command)
	}
}

func TestAnUnknownCommandOfASessionListsThoseThatThereAre(t *testing.T) {
	root := newRoot()
	root.SetArgs([]string{"session", "nonsense"})
	require.EqualError(t, root.Execute(), `session: unknown command "nonsense"; there are serve, status, stop and watch`)
}
