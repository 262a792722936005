package eval_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tandem/models"
	"tandem/workbench/chat"
	"tandem/workbench/eval"
	"tandem/workbench/eval/sandbox"
	"tandem/workbench/generate"
)

// rowsOf are rows of a file with these lines.
func rowsOf(t testing.TB, lines ...string) eval.Rows {
	t.Helper()
	folder := t.TempDir()
	writeFiles(t, folder, map[string]string{"rows.jsonl": strings.Join(lines, "\n")})
	return eval.ReadRows(filepath.Join(folder, "rows.jsonl"), "rows.jsonl")
}

func says(words func(question string, sample int) string) eval.Answerer {
	return func(_ context.Context, question string, sample int) (chat.Content, error) {
		return chat.TextContent(words(question, sample)), nil
	}
}

func TestAnswersInMathematicsCountByTheirNumber(t *testing.T) {
	for answer, right := range map[string]float64{
		"It is\n#### 1,234": 1, "#### 1234.0": 1, "#### $1234": 1, "#### 123": 0, "1234": 0, "": 0, "#### -1234": 0, "so #### 1234 apples": 1,
	} {
		rows := rowsOf(t, `{"question": "How many?", "answer": "617 * 2 = <<617*2=1234>>1234\n#### 1234"}`)
		result, err := eval.RunGSM8K(context.Background(), rows, says(func(string, int) string { return answer }), eval.AnswerOptions{}, 0, nil)
		require.NoError(t, err)
		require.Equal(t, right, result.Value, answer)
		require.Equal(t, answer, result.Outcomes[0].Answer)
	}
}

func TestSeveralSamplesGivePassAtK(t *testing.T) {
	var lines []string
	for i := range 10 {
		lines = append(lines, fmt.Sprintf(`{"question": "%d", "answer": "#### %d"}`, i, i))
	}
	lines = append(lines, `{"question": "x", "answer": "no number"}`)
	// The last of four samples is right for even questions.
	answer := says(func(question string, sample int) string {
		if sample == 3 && strings.ContainsAny(question, "02468") {
			return "#### " + question
		}
		return "#### -1"
	})
	done := 0
	result, err := eval.RunGSM8K(context.Background(), rowsOf(t, lines...), answer, eval.AnswerOptions{Samples: 4, AtOnce: 3}, 0, func(d, all int) { done = d })
	require.NoError(t, err)
	require.Equal(t, 40, done)
	require.InDelta(t, 0.125, result.Value, 1e-12)
	require.InDelta(t, 0.125, result.PassAt[1], 1e-12)
	require.InDelta(t, 0.5, result.PassAt[4], 1e-12)
	require.Less(t, result.Interval.Low, 0.125)
	require.Greater(t, result.Interval.High, 0.125)
	require.Equal(t, eval.Skipped{Count: 1, Reasons: []string{`rows.jsonl:11: its answer has no "#### number"`}}, result.Skipped)
}

func TestAFailingModelEndsTheTaskAndALongQuestionIsSkipped(t *testing.T) {
	lines := []string{`{"question": "short", "answer": "#### 1"}`, `{"question": "long", "answer": "#### 1"}`}
	tooLong := func(_ context.Context, question string, _ int) (chat.Content, error) {
		if question == "long" {
			return nil, fmt.Errorf("%w: it has 9 tokens", chat.ErrTooLong)
		}
		return chat.TextContent("#### 1"), nil
	}
	result, err := eval.RunGSM8K(context.Background(), rowsOf(t, lines...), tooLong, eval.AnswerOptions{}, 0, nil)
	require.NoError(t, err)
	require.Equal(t, 1, result.Examples)
	require.Equal(t, eval.Skipped{Count: 1, Reasons: []string{"rows.jsonl:2: the conversation is too long: it has 9 tokens"}}, result.Skipped)

	broken := errors.New("the device is gone")
	_, err = eval.RunGSM8K(context.Background(), rowsOf(t, lines...), func(context.Context, string, int) (chat.Content, error) { return nil, broken }, eval.AnswerOptions{}, 0, nil)
	require.ErrorIs(t, err, broken)

	ctx, cancel := context.WithCancel(context.Background())
	_, err = eval.RunGSM8K(ctx, rowsOf(t, lines...), func(ctx context.Context, _ string, _ int) (chat.Content, error) {
		cancel()
		return nil, ctx.Err()
	}, eval.AnswerOptions{}, 0, nil)
	require.ErrorIs(t, err, context.Canceled)
}

// humanEval is a row about a function that doubles a number.
const humanEval = `{"task_id": "Test/0", "prompt": "import math\n\ndef double(x):\n    \"\"\"Twice x.\"\"\"\n", "entry_point": "double", "test": "def check(candidate):\n    assert candidate(2) == 4\n    assert math.pi > 3\n"}`

func TestProgramsPassIfTheirTestsDo(t *testing.T) {
	box, err := sandbox.New(sandbox.Limits{Time: 10 * time.Second})
	if err != nil {
		t.Skip(err)
	}
	python, err := box.Python(context.Background())
	if err != nil {
		t.Skip(err)
	}
	run := func(ctx context.Context, program string) (sandbox.Result, error) {
		return box.RunPython(ctx, python, program)
	}
	for _, test := range []struct {
		name, answer string
		right        float64
	}{
		{"the function in a code block", "Here:\n```python\ndef double(x):\n    return 2 * x\n```\nDone.", 1},
		{"the function alone", "def double(x):\n    return x + x\n", 1},
		{"only its body", "    return x * 2\n", 1},
		{"a wrong function", "```\ndef double(x):\n    return x\n```", 0},
		{"no code", "I do not know.", 0},
		{"an early exit", "import sys\ndef double(x):\n    sys.exit(0)\n", 0},
		{"an exit that skips all handlers", "import os\ndef double(x):\n    os._exit(0)\n", 0},
		{"a block that was cut short", "```python\ndef double(x):\n    return 2 * x\n", 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			result, err := eval.RunHumanEval(context.Background(), rowsOf(t, humanEval), says(func(string, int) string { return test.answer }), run, eval.AnswerOptions{}, 0, nil)
			require.NoError(t, err)
			require.Equal(t, test.right, result.Value)
		})
	}
	_, err = eval.RunHumanEval(context.Background(), rowsOf(t, humanEval), nil, nil, eval.AnswerOptions{}, 0, nil)
	require.EqualError(t, err, "humaneval: it runs code that the model writes, and that is off; turn it on with: workbench eval --run-code")
}

func TestAModelAnswersThroughItsChatTemplate(t *testing.T) {
	tok := bytesOnly(t)
	f := newFixture(t, "MT", models.Config{Width: 16, Vocab: tok.VocabSize(), Context: 64})
	engine, err := generate.New(f.device, f.model, f.weights, generate.Options{Rows: 2, Chunks: []int{16}})
	require.NoError(t, err)
	t.Cleanup(engine.Close)
	model, err := chat.NewModel(chat.Over(engine), tok)
	require.NoError(t, err)
	o := eval.AnswerOptions{Samples: 2, Tokens: 8, AtOnce: 2, Sampling: generate.Sampling{Temperature: 1}}
	require.NoError(t, o.Validate())
	rows := []string{`{"question": "1+1?", "answer": "#### 2"}`, `{"question": "` + strings.Repeat("long ", 30) + `", "answer": "#### 2"}`,
		`{"question": "", "answer": "#### 2"}`}
	first, err := eval.RunGSM8K(context.Background(), rowsOf(t, rows...), eval.Answers(model, o), o, 0, nil)
	require.NoError(t, err)
	require.Equal(t, 1, first.Examples)
	require.Equal(t, 2, first.Skipped.Count, "one is too long, one empty")
	again, err := eval.RunGSM8K(context.Background(), rowsOf(t, rows...), eval.Answers(model, o), o, 0, nil)
	require.NoError(t, err)
	require.Equal(t, first.Outcomes, again.Outcomes)

	var samples []chat.Content
	for _, sample := range []int{0, 1, 0} {
		content, err := eval.Answers(model, o)(context.Background(), "1+1?", sample)
		require.NoError(t, err)
		samples = append(samples, content)
	}
	require.NotEqual(t, samples[0], samples[1], "pass@k is of different answers")
	require.Equal(t, samples[0], samples[2])
}

func TestAnswerOptionsThatCannotBeAreRefused(t *testing.T) {
	for want, o := range map[string]eval.AnswerOptions{
		"samples 4 at temperature 0 are all the same; give a temperature such as 0.8": {Samples: 4},
		"samples -1: must lie between 1 and 1000":                                     {Samples: -1},
		"answer tokens -1: may not be negative":                                       {Tokens: -1},
		"sampling: temperature -1: must lie between 0 and 100":                        {Sampling: generate.Sampling{Temperature: -1}},
	} {
		require.EqualError(t, o.Validate(), want)
	}
}
