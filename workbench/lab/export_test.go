package lab

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"tandem/workbench/checkpoint"
)

func TestAnExportAnswersAsItsRunDoesAndIsAFifthOfIt(t *testing.T) {
	run, _ := trainedRun(t)
	quiet := func(line string) { t.Log(line) }
	sample := func(run *Run) string {
		text, err := Sample(context.Background(), run, "go", SampleOptions{Prompt: "the number", Tokens: 8}, quiet, nil)
		require.NoError(t, err)
		return text
	}
	copyOf := func(name string, exact bool) *Run {
		exported, err := Export(run, name, exact, quiet)
		require.NoError(t, err)
		require.Equal(t, 3, exported.Step)
		opened, err := OpenRun(name)
		require.NoError(t, err)
		require.Equal(t, name, opened.Info.Name)
		return opened
	}
	exact, small := copyOf("exact", true), copyOf("small-copy", false)
	require.Equal(t, sample(run), sample(exact))
	require.NotEmpty(t, sample(small))

	whole, _, _, err := checkpoint.Latest(run.Folder)
	require.NoError(t, err)
	copied, _, _, err := checkpoint.Latest(small.Folder)
	require.NoError(t, err)
	require.Empty(t, copied.Optimizer)
	saved := map[string]checkpoint.Tensor{}
	for _, tensor := range whole.Model {
		saved[tensor.Name] = tensor
	}
	require.Len(t, copied.Model, len(saved))
	narrow := 0
	for _, tensor := range copied.Model {
		if tensor.DType == "BF16" {
			narrow++
			require.Equal(t, saved[tensor.Name].Narrowed(), tensor)
		} else {
			require.Equal(t, saved[tensor.Name], tensor, "the small weights stay as they are")
		}
	}
	require.Greater(t, narrow, 5)
	size := func(folder string) (bytes int64) {
		files, err := filepath.Glob(filepath.Join(folder, "step-*", "*.safetensors"))
		require.NoError(t, err)
		for _, file := range files {
			info, err := os.Stat(file)
			require.NoError(t, err)
			bytes += info.Size()
		}
		return bytes
	}
	require.Less(t, size(small.Folder), size(run.Folder)/3)

	t.Run("it is not resumed, and says so", func(t *testing.T) {
		_, err := TrainConfig(context.Background(), small.Info.Config, TrainOptions{Resume: small})
		require.ErrorContains(t, err, "it is an export, which can be tuned but not resumed; name the run that it was copied from")
	})
	t.Run("what is there is not overwritten", func(t *testing.T) {
		_, err := Export(run, "exact", false, quiet)
		require.EqualError(t, err, "export small: runs/exact exists; give another name")
	})
	t.Run("weights of another architecture than run.json's are not exported", func(t *testing.T) {
		other, err := OpenRun("exact")
		require.NoError(t, err)
		other.Info.Config.Model.Width = 64
		_, err = Export(other, "never", false, quiet)
		require.EqualError(t, err, `export exact: runs/exact/step-000003: "embedding" has shape [300 32] there and [300 64] in the model of run.json; the checkpoint is of another architecture`)
		require.NoDirExists(t, RunFolder("never"))
	})
	t.Run("a tokenizer of another vocabulary is refused, and a lost one named", func(t *testing.T) {
		other, err := OpenRun("small-copy")
		require.NoError(t, err)
		path := filepath.Join(other.Folder, TokenizerFile)
		shorter, err := TrainTokenizer(context.Background(), "corpus", 280)
		require.NoError(t, err)
		require.NoError(t, shorter.Save(path))
		_, err = Sample(context.Background(), other, "go", SampleOptions{}, quiet, nil)
		require.EqualError(t, err, "load tokenizer runs/small-copy/tokenizer.json: it has 280 tokens and the model 300; take the tokenizer and the vocab that the run was trained with")
		require.NoError(t, os.Remove(path))
		_, err = other.Tokenizer()
		require.ErrorContains(t, err, "no such file or directory; restore it from a copy, such as an export of the run")
	})
	t.Run("a run without a checkpoint leaves nothing behind", func(t *testing.T) {
		bare, err := OpenRun("exact")
		require.NoError(t, err)
		require.NoError(t, os.RemoveAll(filepath.Join(bare.Folder, "step-000003")))
		_, err = Export(bare, "never", false, quiet)
		require.ErrorIs(t, err, checkpoint.ErrNone)
		require.NoDirExists(t, "runs/never")
	})
}
