package eval_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tandem/models"
	"tandem/workbench/eval"
)

// result is one of a task, of which the first examples were right.
func result(task string, baseline float64, right, all int) eval.Result {
	r := eval.Result{Task: task, Metric: "accuracy", Value: float64(right) / float64(all), Interval: eval.Wilson(right, all), Examples: all, Baseline: &baseline, Seconds: 2}
	centred := (r.Value - baseline) / (1 - baseline)
	r.Centred = &centred
	for i := range all {
		o := eval.Outcome{ID: fmt.Sprintf("x:%d", i), Weight: 1}
		if i < right {
			o.Value = 1
		}
		r.Outcomes = append(r.Outcomes, o)
	}
	return r
}

func TestAReportIsReadAsItWasWritten(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "step-000004")
	_, err := eval.OpenReport(folder)
	require.ErrorIs(t, err, eval.ErrNoReport)

	r := &eval.Report{Run: "first", Step: 4, Pattern: "TM"}
	r.Add(result("core/quiz", 0.25, 7, 10))
	r.Add(result("core/story", 0, 5, 10))
	skipping := result("mmlu", 0.25, 4, 10)
	skipping.Skipped = eval.Skipped{Count: 2, Reasons: []string{"mmlu.jsonl:3: it is not a JSON object"}}
	r.Add(skipping)
	r.Add(eval.Failed("gsm8k", errors.New("gsm8k: there is | no data")))
	r.Summarise()
	require.NoError(t, r.Save(folder))
	again, err := eval.OpenReport(folder)
	require.NoError(t, err)
	require.Equal(t, r, again)

	require.Len(t, r.Means, 1, "ChatCORE needs all five tasks")
	require.InDelta(t, (0.45/0.75+0.5)/2, r.Means[0].Value, 1e-12)
	text, err := os.ReadFile(filepath.Join(folder, "report.md"))
	require.NoError(t, err)
	for _, want := range []string{
		"| core/quiz | accuracy | 0.7000 | 0.3968 to 0.8922 | 0.2500 | 0.6000 | 10 | 0 | 5.0 |",
		"| gsm8k | failed |", "**CORE** (mean of 2 centred values): 0.5500 (",
		"- mmlu: 2 examples skipped, such as mmlu.jsonl:3: it is not a JSON object\n", "- gsm8k: failed: there is | no data\n",
	} {
		require.Contains(t, string(text), want)
	}
	var decoded map[string]any
	text, err = os.ReadFile(filepath.Join(folder, "report.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &decoded))

	require.NoError(t, os.WriteFile(filepath.Join(folder, "report.json"), []byte("{"), 0o644))
	_, err = eval.OpenReport(folder)
	require.ErrorContains(t, err, "delete it and evaluate again")
}

// Tasks of one run are evaluated from two terminals, the long ones on one GPU and the short ones on another.
func TestTwoEvaluationsAtOnceKeepEachOthersResults(t *testing.T) {
	folder := t.TempDir()
	first, second := &eval.Report{Step: 4}, &eval.Report{Step: 4}
	first.Add(result("mmlu", 0.25, 4, 10))
	second.Add(result("gsm8k", 0, 6, 10))
	var group sync.WaitGroup
	for _, r := range []*eval.Report{first, second} {
		group.Go(func() {
			for range 100 {
				if !assert.NoError(t, r.Save(folder)) {
					return
				}
			}
		})
	}
	group.Wait()
	require.NoError(t, second.Save(folder))
	first.Add(result("mmlu", 0.25, 5, 10))
	require.NoError(t, first.Save(folder))
	both, err := eval.OpenReport(folder)
	require.NoError(t, err)
	require.Len(t, both.Results, 2)
	for _, r := range both.Results {
		require.Len(t, r.Outcomes, 10)
		require.Equal(t, map[string]float64{"mmlu": 0.5, "gsm8k": 0.6}[r.Task], r.Value)
	}
}

func TestCOREIsTheMeanOfAllTasksOfItsBundleOrOfNone(t *testing.T) {
	folder := t.TempDir()
	writeFiles(t, folder, bundleFiles())
	bundle, err := eval.OpenBundle(folder)
	require.NoError(t, err)
	tok := bytesOnly(t)
	f := newFixture(t, "T", models.Config{Width: 16, Vocab: tok.VocabSize(), Context: 64})
	r := &eval.Report{}
	for i := range bundle.Tasks() {
		require.Empty(t, r.Means, "after %d of 3 tasks", i)
		result, err := bundle.Run(t.Context(), i, f.scorer(t, eval.ScorerOptions{}), tok, 1, nil)
		require.NoError(t, err)
		r.Add(result)
		r.Summarise()
	}
	require.Len(t, r.Means, 1)
	require.Equal(t, 3, r.Means[0].Tasks)
}

func TestANewResultTakesThePlaceOfTheOldAndAFailureOfNone(t *testing.T) {
	r := &eval.Report{}
	r.Add(result("mmlu", 0.25, 4, 10))
	r.Add(eval.Failed("mmlu", errors.New("no data")))
	require.Equal(t, 0.4, r.Results[0].Value)
	r.Add(result("mmlu", 0.25, 6, 10))
	require.Len(t, r.Results, 1)
	require.Equal(t, 0.6, r.Results[0].Value)
	r.Add(eval.Failed("gsm8k", errors.New("no data")))
	r.Add(result("gsm8k", 0, 6, 10))
	require.Empty(t, r.Results[1].Problem)
}

func TestRunsAreComparedByTheExamplesTheyShare(t *testing.T) {
	first, second := &eval.Report{Run: "first"}, &eval.Report{Run: "second", Step: 7}
	first.Add(result("mmlu", 0.25, 12, 20))
	second.Add(result("mmlu", 0.25, 3, 15))
	first.Add(result("only", 0.25, 3, 10))
	bits := func(bytes float64, id string) eval.Result {
		return eval.Result{Task: "bpb/train", Outcomes: []eval.Outcome{{ID: id, Value: 20, Weight: bytes}}}
	}
	first.Add(bits(10, "row 0"))
	second.Add(bits(12, "row 0"))
	c := eval.Compare(first, second)
	require.Len(t, c.Tasks, 2)
	mmlu := c.Tasks[0]
	require.Equal(t, 15, mmlu.Pairs)
	require.InDelta(t, 12.0/15, mmlu.First, 1e-12)
	require.InDelta(t, 9.0/15, mmlu.Difference, 1e-12)
	require.InDelta(t, eval.McNemar(0, 9), *mmlu.P, 1e-12)
	require.Contains(t, c.Tasks[1].Problem, "row 0 has 10 bytes here and 12 there")
	first.Comparison = c
	require.Contains(t, first.Markdown(), "## Compared with second, step 7")

	other := &eval.Report{}
	other.Add(bits(10, "row 5"))
	require.Equal(t, "the runs were asked no example in common", eval.Compare(first, other).Tasks[0].Problem)
}
