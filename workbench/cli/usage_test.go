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
		// keys that would change nothing
		{"params", "--steps", "3"}, {"memory", "--data", "x"}, {"bench", "train", "--minutes", "3"},
	} {
		require.Equal(t, exitUsage, Main(command), command)
	}
}

func TestAnUnknownCommandOfASessionListsThoseThatThereAre(t *testing.T) {
	root := newRoot()
	root.SetArgs([]string{"session", "nonsense"})
	require.EqualError(t, root.Execute(), `session: unknown command "nonsense"; there are serve, status, stop and watch`)
}

func TestTheHelpOfATuningSaysWhatItTakesFromItsRunAndWhatItSetsAnew(t *testing.T) {
	root := newRoot()
	for command, keys := range map[string]map[string]string{
		"sft": {"batch": "the run's", "seed": "the run's", "lr_scale": "0.8", "weight_decay": "0", "warmup": "1", "warmdown": "0.5", "spike_limit": "the run's", "save_every": "the run's"},
		"rl":  {"batch": "the run's", "seed": "the run's", "lr_scale": "0.05", "weight_decay": "0", "warmup": "1", "warmdown": "1", "spike_limit": "-1", "save_every": "60"},
	} {
		found, _, err := root.Find([]string{command})
		require.NoError(t, err)
		for key, want := range keys {
			require.Contains(t, found.Flags().Lookup(key).Usage, " ("+want+" unless given", "%s --%s", command, key)
		}
	}
}

// What every call of the program pays before it does anything.
func BenchmarkTheTreeOfCommands(b *testing.B) {
	for b.Loop() {
		newRoot()
	}
}
