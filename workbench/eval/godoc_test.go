package eval_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"tandem/workbench/data"
	"tandem/workbench/eval"
)

func TestTokenF1CountsSharedWords(t *testing.T) {
	for _, test := range []struct {
		name, answer, gold string
		want               float64
	}{
		{"the same words are all of it", "func Cut(s, sep string)", "func  Cut(s, sep\nstring)", 1},
		{"a word counts as often as it occurs", "a a a", "a b", 0.4},
		{"half of the words, nothing else", "Cut slices", "Cut slices s around", 2.0 / 3},
		{"case tells an exported name from another", "cut", "Cut", 0},
		{"no answer", " ", "Cut", 0},
		{"nothing to say", "Cut", "", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			require.InDelta(t, test.want, eval.TokenF1(test.answer, test.gold), 1e-12)
		})
	}
}

func TestGoDocScoresWordsAndNotesFirstSentences(t *testing.T) {
	questions := []data.Question{
		{Question: "What does a.B do?", Answer: "B does it. It is old."},
		{Question: "How is a.B declared?", Answer: "func B(x ...int)"},
		{Question: "What is a.C?", Answer: "C is a letter."},
	}
	answers := map[string]string{
		"What does a.B do?":    "B does it.",
		"How is a.B declared?": "func B(x ...int)",
		"What is a.C?":         "D is something else.",
	}
	answer := says(func(question string, _ int) string { return answers[question] })
	result, err := eval.RunGoDoc(context.Background(), "godoc/train", questions, answer, eval.AnswerOptions{}, 0, nil)
	require.NoError(t, err)
	require.Equal(t, "godoc/train", result.Task)
	require.Equal(t, 3, result.Examples)
	require.InDelta(t, (2.0*3/9+1+2.0*1/8)/3, result.Value, 1e-12)
	require.Equal(t, "2 of 3 answers begin with the documentation's first sentence, to the letter", result.Note)
	require.Less(t, result.Interval.Low, result.Value)

	result, err = eval.RunGoDoc(context.Background(), "godoc/train", questions, answer, eval.AnswerOptions{}, 2, nil)
	require.NoError(t, err)
	require.Equal(t, 2, result.Examples)
	_, err = eval.RunGoDoc(context.Background(), "godoc/train", nil, answer, eval.AnswerOptions{}, 0, nil)
	require.EqualError(t, err, "godoc/train: all 0 examples were skipped; the first: the task has no examples")
}
