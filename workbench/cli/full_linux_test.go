package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tandem/workbench/lab"
)

func TestWhatCannotBeWrittenIsNoSuccess(t *testing.T) {
	folder := t.TempDir()
	text, file := filepath.Join(folder, "text.jsonl"), filepath.Join(folder, "tokenizer.json")
	require.NoError(t, os.WriteFile(text, []byte(strings.Repeat(`{"text": "hello"}`+"\n", 40)), 0o600))
	tok, err := lab.TrainTokenizer(t.Context(), text, 256+9)
	require.NoError(t, err)
	require.NoError(t, tok.Save(file))
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	require.NoError(t, err)
	defer full.Close()
	whole := os.Stdout
	defer func() { os.Stdout = whole }()
	for _, command := range [][]string{
		{"tokenizer", "encode", "hello", "--run", file}, {"tokenizer", "decode", "104", "--run", file}, {"params"}, {"memory"}, {"config"}, {"data", "list"},
	} {
		os.Stdout = full
		code := Main(command)
		os.Stdout = whole
		require.Equal(t, exitFailed, code, command)
	}
}
