package lab

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tandem/workbench/config"
	"tandem/workbench/tokenizer"
)

// trainedRun is a run of a few steps on a small text, in a working directory of its own.
func trainedRun(t *testing.T) (run *Run, bpb float64) {
	t.Helper()
	t.Chdir(t.TempDir())
	t.Setenv(CacheVariable, filepath.Join(t.TempDir(), "cache"))
	require.NoError(t, os.Mkdir("corpus", 0o755))
	for i := range 40 {
		require.NoError(t, os.WriteFile(fmt.Sprintf("corpus/%d.txt", i), []byte(strings.Repeat(fmt.Sprintf("the number %d is a number. ", i), 3+i%5)), 0o644))
	}
	c, err := config.Load("", []string{"data=corpus", "backend=go", "vocab=300", "pattern=MT", "width=32", "context=64", "batch=2", "steps=3",
		"eval_every=3", "eval_batches=2", "sample_tokens=2", "run=small"})
	require.NoError(t, err)
	result, err := TrainConfig(context.Background(), c, TrainOptions{})
	require.NoError(t, err)
	return result.Run, result.BPB
}

func TestBitsPerByteAreThoseOfTheTraining(t *testing.T) {
	run, bpb := trainedRun(t)
	report, err := Evaluate(context.Background(), run, "go", EvalOptions{})
	require.NoError(t, err)
	require.Equal(t, []string{"bpb/train", "bpb/validation"}, []string{report.Results[0].Task, report.Results[1].Task})
	require.InDelta(t, bpb, report.Results[1].Value, 1e-6)

	t.Run("an interruption keeps what is finished", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		report, err := Evaluate(ctx, run, "go", EvalOptions{Tasks: []string{"bpb"}, Count: func(task string, _, _ int) {
			if task == "bpb/validation" {
				cancel()
			}
		}})
		require.ErrorIs(t, err, ErrInterrupted)
		require.EqualError(t, err, "evaluate small: interrupted; the tasks that were finished are in runs/small/eval/step-000003", "no checkpoint was saved, and none is resumed")
		require.Len(t, report.Results, 2)
	})

	t.Run("rows come from a corpus too", func(t *testing.T) {
		require.NoError(t, os.WriteFile("quiz.jsonl", []byte(`{"question": "Which?", "choices": ["a", "b"], "answer": 1}`+"\n"), 0o644))
		report, err := Evaluate(context.Background(), run, "go", EvalOptions{Tasks: []string{"mmlu=quiz.jsonl"}})
		require.NoError(t, err)
		require.Equal(t, 1, report.Results[2].Examples)
		require.Equal(t, "mmlu:1", report.Results[2].Outcomes[0].ID)
	})

	t.Run("a vocabulary without the chat's tokens fails its tasks alone", func(t *testing.T) {
		path := filepath.Join(run.Folder, TokenizerFile)
		whole, err := os.ReadFile(path)
		require.NoError(t, err)
		bare := strings.ReplaceAll(string(whole), "<|user_start|>", "<|nobody|>")
		require.NoError(t, os.WriteFile(path, []byte(bare), 0o644))
		_, err = tokenizer.Load(path)
		require.NoError(t, err)
		report, err := Evaluate(context.Background(), run, "go", EvalOptions{Tasks: []string{"gsm8k=quiz.jsonl", "mmlu=quiz.jsonl", "bpb"}})
		require.ErrorContains(t, err, "evaluate small: 2 of 4 tasks failed: gsm8k: chat template: the tokenizer has no <|user_start|>, only")
		require.NotContains(t, err.Error(), "\n")
		require.Empty(t, report.Results[0].Problem)
		require.Contains(t, report.Results[3].Problem, "<|user_start|>")
	})
}

func TestNothingToMeasureIsAnError(t *testing.T) {
	run, _ := trainedRun(t)
	run.Info.Conversations = &Conversations{}
	_, err := Evaluate(context.Background(), run, "go", EvalOptions{Data: t.TempDir()})
	require.EqualError(t, err, "evaluate small: there is nothing to measure: it was tuned to answer, so say what text bits per byte are measured on, with --corpus, or name --tasks, or a folder with their files as --data")
}

func TestQuestionsOnDocumentationAreAskedOfBothSidesOfTheSplit(t *testing.T) {
	run, _ := trainedRun(t)
	require.NoError(t, os.Mkdir("source", 0o755))
	source := "package a\n"
	for i := range 200 {
		source += fmt.Sprintf("\n// F%d is number %d.\nfunc F%d() int { return %d }\n", i, i, i, i)
	}
	require.NoError(t, os.WriteFile("source/a.go", []byte(source), 0o644))
	report, err := Evaluate(context.Background(), run, "go", EvalOptions{Tasks: []string{"godoc=godoc-chat:./source"}, Answers: EvalAnswers{Tokens: 2}})
	require.NoError(t, err)
	learned, held := report.Results[len(report.Results)-2], report.Results[len(report.Results)-1]
	require.Equal(t, []string{"godoc/train", "godoc/validation"}, []string{learned.Task, held.Task})
	require.Equal(t, learned.Examples, held.Examples)
	require.NotEqual(t, learned.Outcomes[0].ID, held.Outcomes[0].ID)
	require.Contains(t, held.Note, "0 of ")
	_, err = Evaluate(context.Background(), run, "go", EvalOptions{Tasks: []string{"godoc=source"}})
	require.ErrorContains(t, err, `unknown task "godoc=source"`)
}
