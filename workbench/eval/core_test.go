package eval_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tandem/models"
	"tandem/workbench/chat"
	"tandem/workbench/eval"
)

// writeFiles writes files below a folder.
func writeFiles(t testing.TB, folder string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(folder, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}
}

// choiceRows are multiple-choice rows of several lengths.
func choiceRows(count int) string {
	var rows strings.Builder
	for i := range count {
		fmt.Fprintf(&rows, `{"query": "Number %d, %s?", "choices": ["alpha", "beta %d", "gamma gamma", "delta"], "gold": %d}`+"\n", i, strings.Repeat("or ", i%5), i, i%4)
	}
	return rows.String()
}

// bundleFiles are a bundle of one task of each form, with rows that cannot be used.
func bundleFiles() map[string]string {
	return map[string]string{
		"core.yaml": `icl_tasks:
- {label: quiz, dataset_uri: sub/quiz.jsonl, num_fewshot: [2], icl_task_type: multiple_choice, continuation_delimiter: "\nAnswer: "}
- {label: schema, dataset_uri: schema.jsonl, num_fewshot: [0], icl_task_type: schema}
- {label: story, dataset_uri: story.jsonl, num_fewshot: [10], icl_task_type: language_modeling}
`,
		"eval_meta_data.csv":       "Eval Task,Task Category,Random baseline\nquiz,x,25\nschema,x,50.0\nstory,x,0\nother,x,\n",
		"eval_data/sub/quiz.jsonl": choiceRows(12) + "not JSON\n" + `{"query": "no choices", "gold": 1}` + "\n" + `{"query": "q", "choices": ["a", "b"], "gold": 2}` + "\n",
		"eval_data/schema.jsonl":   `{"context_options": ["The trophy", "The suitcase"], "continuation": "was too large", "gold": 0}` + "\n\n",
		"eval_data/story.jsonl":    `{"context": " Once upon a ", "continuation": "time"}` + "\n" + `{"context": "The end of the", "continuation": "story"}` + "\n",
	}
}

func TestCoreInBatchesEqualsCoreOneAtATime(t *testing.T) {
	folder := t.TempDir()
	writeFiles(t, folder, bundleFiles())
	bundle, err := eval.OpenBundle(folder)
	require.NoError(t, err)
	require.Equal(t, []string{"quiz", "schema", "story"}, bundle.Tasks())
	tok := bytesOnly(t)
	f := newFixture(t, "MT", models.Config{Width: 16, Vocab: tok.VocabSize(), Context: 64})
	batched, alone := f.scorer(t, eval.ScorerOptions{}), f.scorer(t, eval.ScorerOptions{Alone: true})
	ctx := context.Background()
	for i := range bundle.Tasks() {
		got, err := bundle.Run(ctx, i, batched, tok, 0, nil)
		require.NoError(t, err)
		want, err := bundle.Run(ctx, i, alone, tok, 0, nil)
		require.NoError(t, err)
		require.Equal(t, want.Outcomes, got.Outcomes)
	}

	last := 0
	quiz, err := bundle.Run(ctx, 0, batched, tok, 0, func(done, all int) {
		require.Equal(t, 12, all)
		require.GreaterOrEqual(t, done, last)
		last = done
	})
	require.NoError(t, err)
	require.Equal(t, 12, last)
	require.Equal(t, 12, quiz.Examples)
	require.Equal(t, 12, quiz.Shortened, "two shots of bytes are more than the context holds")
	require.Equal(t, eval.Skipped{Count: 3, Reasons: []string{
		"quiz.jsonl:13: it is not a JSON object", `quiz.jsonl:14: it has no field "choices", only gold, query`, "quiz.jsonl:15: gold is 2 of 2 options"}}, quiz.Skipped)
	require.InDelta(t, (quiz.Value-0.25)/0.75, *quiz.Centred, 1e-12)

	limited, err := bundle.Run(ctx, 0, batched, tok, 5, nil)
	require.NoError(t, err)
	require.Equal(t, quiz.Outcomes[:5], limited.Outcomes, "a limit changes no prompt and no order")

	story, err := bundle.Run(ctx, 2, batched, tok, 0, nil)
	require.NoError(t, err)
	require.Equal(t, "1 examples shown instead of 10: there are no more", story.Note)
}

// The list as DCLM lays it out: a dash alone on its line, comments, keys of no use here; a label of each form, one data set
// under two labels; percent with a fraction; descriptions with commas and quotes.
func TestABundleIsReadAsDCLMWritesIt(t *testing.T) {
	folder := t.TempDir()
	writeFiles(t, folder, map[string]string{
		"core.yaml": `icl_tasks:
-
  label: hellaswag_zeroshot
  dataset_uri: language_understanding/hellaswag.jsonl
  num_fewshot: [0]
  icl_task_type: multiple_choice
-
  label: hellaswag
  dataset_uri: language_understanding/hellaswag.jsonl
  num_fewshot: [1]
  icl_task_type: multiple_choice
-
  label: winograd
  dataset_uri: language_understanding/winograd_wsc.jsonl
  num_fewshot: [0]
  icl_task_type: schema
-
  label: jeopardy
  dataset_uri: world_knowledge/jeopardy_all.jsonl
  num_fewshot: [1]
  icl_task_type: language_modeling
  continuation_delimiter: "\nAnswer: " # this separates questions from answers
  has_categories: true
`,
		"eval_meta_data.csv": "Eval Task,Task Category,Task Type,#shots,#datapoints,Random baseline,Centered Metric?,Description\n" +
			"hellaswag_zeroshot,language understanding,multiple choice,0,2,25,,\"Endings, of which one is \"\"likely\"\".\"\n" +
			"hellaswag,language understanding,multiple choice,1,2,9.1,, It is “the same” again.\n" +
			"winograd,language understanding,schema,0,2,50,,\" Who is meant?\"\n" +
			"jeopardy,world knowledge,language modeling,1,2,0,,\"Questions, answers.\"\n" +
			"gsm8k,symbolic problem solving,question answering,3,2,,,no baseline\n",
		"eval_data/language_understanding/hellaswag.jsonl": `{"query": "A man lifts a lid. He", "choices": ["looks in.", "flies.", "is blue.", "melts."], "gold": 0, "category": "x"}
{"query": "A dog sees a ball. It", "choices": ["reads.", "runs.", "votes.", "sings."], "gold": 1, "category": "x"}
`,
		"eval_data/language_understanding/winograd_wsc.jsonl": `{"context_options": ["The pot fell off the shelf because the pot", "The pot fell off the shelf because the shelf"], "continuation": "was crooked.", "gold": 1}
{"context_options": ["One can see through the glass", "One can see through the frame"], "continuation": ".", "gold": 0}
`,
		"eval_data/world_knowledge/jeopardy_all.jsonl": `{"context": "RIVERS: It flows through Cologne", "continuation": "the Rhine", "category": "geography"}
{"context": "COLOURS: That of grass ", "continuation": "green", "category": "nature"}
`,
	})
	bundle, err := eval.OpenBundle(folder)
	require.NoError(t, err)
	require.Equal(t, []string{"hellaswag_zeroshot", "hellaswag", "winograd", "jeopardy"}, bundle.Tasks())
	tok := bytesOnly(t)
	scorer := newFixture(t, "MT", models.Config{Width: 16, Vocab: tok.VocabSize(), Context: 192}).scorer(t, eval.ScorerOptions{})
	for i, baseline := range []float64{0.25, 0.091, 0.5, 0} {
		result, err := bundle.Run(context.Background(), i, scorer, tok, 0, nil)
		require.NoError(t, err)
		require.Equal(t, 2, result.Examples, result.Task)
		require.Zero(t, result.Skipped.Count, result.Task)
		require.Zero(t, result.Shortened, result.Task)
		require.InDelta(t, (result.Value-baseline)/(1-baseline), *result.Centred, 1e-12, result.Task)
	}
}

func TestBundlesThatCannotBeAreRefused(t *testing.T) {
	for name, test := range map[string]struct{ file, text, want string }{
		"no list":             {"core.yaml", "", "open CORE: core.yaml lists no icl_tasks"},
		"a broken list":       {"core.yaml", "icl_tasks: [", "open CORE: core.yaml: "},
		"an unknown form":     {"core.yaml", "icl_tasks: [{label: quiz, dataset_uri: a, icl_task_type: essay, num_fewshot: [0]}]", `quiz: icl_task_type "essay" is unknown; there are multiple_choice, schema, language_modeling`},
		"a path out of it":    {"core.yaml", "icl_tasks: [{label: quiz, dataset_uri: ../../etc/passwd, icl_task_type: schema, num_fewshot: [0]}]", `dataset_uri "../../etc/passwd" leads out of eval_data`},
		"no number of shots":  {"core.yaml", "icl_tasks: [{label: quiz, dataset_uri: a, icl_task_type: schema}]", "quiz: num_fewshot is []; it must be a list of one number, 0 to 1000"},
		"no baseline":         {"core.yaml", "icl_tasks: [{label: chess, dataset_uri: a, icl_task_type: schema, num_fewshot: [0]}]", "chess: eval_meta_data.csv has no baseline for it"},
		"baselines of others": {"eval_meta_data.csv", "a,b\n1,2\n", `eval_meta_data.csv has no columns "Eval Task" and "Random baseline"`},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			files := bundleFiles()
			files[test.file] = test.text
			writeFiles(t, folder, files)
			_, err := eval.OpenBundle(folder)
			require.ErrorContains(t, err, test.want)
			require.NotContains(t, err.Error(), "\n")
		})
	}
	_, err := eval.OpenBundle(t.TempDir())
	require.ErrorContains(t, err, "give the folder that holds core.yaml")
}

func TestATaskWithoutAUsableExampleIsAnError(t *testing.T) {
	folder := t.TempDir()
	files := bundleFiles()
	files["eval_data/schema.jsonl"] = "{}\n[]\n"
	writeFiles(t, folder, files)
	bundle, err := eval.OpenBundle(folder)
	require.NoError(t, err)
	tok := bytesOnly(t)
	scorer := newFixture(t, "T", models.Config{Width: 16, Vocab: tok.VocabSize(), Context: 32}).scorer(t, eval.ScorerOptions{})
	_, err = bundle.Run(context.Background(), 1, scorer, tok, 0, nil)
	require.EqualError(t, err, `core/schema: all 2 examples were skipped; the first: schema.jsonl:1: it has no field "context_options", only `)
}

func TestLetteredChoicesAreReadAsTheDataSetsPublishThem(t *testing.T) {
	tok := bytesOnly(t)
	template, err := chat.NewTemplate(tok)
	require.NoError(t, err)
	scorer := newFixture(t, "MT", models.Config{Width: 16, Vocab: tok.VocabSize(), Context: 256}).scorer(t, eval.ScorerOptions{})
	for _, test := range []struct {
		task, rows string
		skipped    eval.Skipped
	}{
		{eval.ARCEasy, `{"question": "Which?", "choices": {"text": ["one", "two", "three"], "label": ["1", "2", "3"]}, "answerKey": "2"}
{"question": "Which?", "choices": {"text": ["one", "two"], "label": ["A", "B"]}, "answerKey": "E"}
{"question": "Which?", "answerKey": "A"}`, eval.Skipped{Count: 2, Reasons: []string{
			`rows.jsonl:2: answerKey "E" is none of its labels A B`, `rows.jsonl:3: it has no field "choices", only answerKey, question`}}},
		{eval.MMLU, `{"question": "Which?", "choices": ["one", "two", "three", "four"], "answer": 3, "subject": "logic"}
{"question": "Which?", "choices": "one", "answer": 0}`, eval.Skipped{Count: 1, Reasons: []string{
			`rows.jsonl:2: field "choices" is not of the kind that the task needs: json: cannot unmarshal string into Go value of type []string`}}},
	} {
		t.Run(test.task, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "rows.jsonl")
			require.NoError(t, os.WriteFile(path, []byte(test.rows), 0o644))
			result, err := eval.RunChoices(context.Background(), test.task, eval.ReadRows(path, "rows.jsonl"), scorer, template, 0, nil)
			require.NoError(t, err)
			require.Equal(t, 1, result.Examples)
			require.Equal(t, test.skipped, result.Skipped)
			require.Equal(t, 0.25, *result.Baseline)
			require.Equal(t, "rows.jsonl:1", result.Outcomes[0].ID)
		})
	}
}
