package data

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"tandem/tests/testkit"
)

// cardOf is a card's list of configurations: a name and then splits with their patterns, two and two.
func cardOf(configs ...[]string) map[string]any {
	var list []map[string]any
	for _, c := range configs {
		var files []map[string]any
		for i := 1; i < len(c); i += 2 {
			files = append(files, map[string]any{"split": c[i], "path": c[i+1]})
		}
		list = append(list, map[string]any{"config_name": c[0], "data_files": files})
	}
	return map[string]any{"configs": list}
}

type turn struct {
	Content string `parquet:"content"`
	Role    string `parquet:"role"`
}

type webRow struct {
	Text  string  `parquet:"text"`
	ID    string  `parquet:"id"`
	Score float64 `parquet:"score"`
}

type smolRow struct {
	Messages []turn `parquet:"messages,list"`
	Source   string `parquet:"source"`
}

type solvedRow struct {
	Question string `parquet:"question"`
	Answer   string `parquet:"answer"`
}

type arcRow struct {
	ID       string `parquet:"id"`
	Question string `parquet:"question"`
	Choices  struct {
		Text  []string `parquet:"text,list"`
		Label []string `parquet:"label,list"`
	} `parquet:"choices"`
	AnswerKey string `parquet:"answerKey"`
}

type mmluRow struct {
	Question string   `parquet:"question"`
	Subject  string   `parquet:"subject"`
	Choices  []string `parquet:"choices,list"`
	Answer   int64    `parquet:"answer"`
}

type humanRow struct {
	TaskID     string `parquet:"task_id"`
	Prompt     string `parquet:"prompt"`
	Solution   string `parquet:"canonical_solution"`
	Test       string `parquet:"test"`
	EntryPoint string `parquet:"entry_point"`
}

// The datasets as their pages show them: names of files, configurations of the card, columns and their kinds. The rows are
// made up.
func TestEveryPresetReadsTheShapeThatItsDatasetHas(t *testing.T) {
	arc := arcRow{ID: "X_1", Question: "What melts?", AnswerKey: "2"}
	arc.Choices.Text, arc.Choices.Label = []string{"stone", "ice"}, []string{"1", "2"}
	mmlu := mmluRow{"Which is even?", "", []string{"1", "2", "3", "5"}, 1}
	for _, test := range []struct {
		name, id  string
		card      map[string]any
		files     map[string][]byte
		text, row string
	}{
		{name: "climbmix", id: "karpathy/climbmix-400b-shuffle", files: map[string][]byte{
			"shard_00000.parquet": parquetBytes(t, 9, struct {
				Text string `parquet:"text"`
			}{"Rain falls."}),
			"shard_06542.parquet": parquetBytes(t, 9, webRow{Text: "the last"}),
		}, text: "Rain falls.", row: `{"text":"Rain falls."}`},
		{name: "fineweb-edu", id: "HuggingFaceFW/fineweb-edu",
			card: cardOf([]string{"default", "train", "data/*/*"}, []string{"sample-10BT", "train", "sample/10BT/*"}, []string{"CC-MAIN-2024-10", "train", "data/CC-MAIN-2024-10/*"}),
			files: map[string][]byte{
				"data/CC-MAIN-2024-10/train-00000-of-00014.parquet": parquetBytes(t, 9, webRow{Text: "all of it"}),
				"sample/10BT/000_00000.parquet":                     parquetBytes(t, 9, webRow{"Leaves are green.", "<urn:1>", 3.5}),
			}, text: "Leaves are green.", row: `{"text":"Leaves are green.","id":"<urn:1>","score":3.5}`},
		{name: "smoltalk", id: "HuggingFaceTB/smol-smoltalk",
			card: cardOf([]string{"default", "train", "data/train-*", "test", "data/test-*"}),
			files: map[string][]byte{
				"data/train-00000-of-00004.parquet": parquetBytes(t, 9, smolRow{[]turn{{"Hi.", "user"}, {"Hello.", "assistant"}}, "made-up"}),
				"data/test-00000-of-00001.parquet":  parquetBytes(t, 9, smolRow{}),
			}, text: "user: Hi.\n\nassistant: Hello.", row: `{"messages":[{"content":"Hi.","role":"user"},{"content":"Hello.","role":"assistant"}],"source":"made-up"}`},
		{name: "gsm8k", id: "openai/gsm8k",
			card: cardOf([]string{"main", "train", "main/train-*", "test", "main/test-*"}, []string{"socratic", "train", "socratic/train-*", "test", "socratic/test-*"}),
			files: map[string][]byte{
				"main/train-00000-of-00001.parquet":     parquetBytes(t, 9, solvedRow{"Two and two?", "It is <<2+2=4>>4.\n#### 4"}),
				"socratic/train-00000-of-00001.parquet": parquetBytes(t, 9, solvedRow{"not this", "#### 0"}),
			}, text: "Two and two?\n\nIt is <<2+2=4>>4.\n#### 4", row: `{"question":"Two and two?","answer":"It is <<2+2=4>>4.\n#### 4"}`},
		{name: "arc", id: "allenai/ai2_arc",
			card: cardOf([]string{"ARC-Challenge", "train", "ARC-Challenge/train-*", "test", "ARC-Challenge/test-*"}, []string{"ARC-Easy", "train", "ARC-Easy/train-*"}),
			files: map[string][]byte{
				"ARC-Challenge/train-00000-of-00001.parquet": parquetBytes(t, 9, arc),
				"ARC-Easy/train-00000-of-00001.parquet":      parquetBytes(t, 9, arcRow{Question: "not this"}),
			}, text: "What melts?\n\n1\n2\nstone\nice", row: `{"id":"X_1","question":"What melts?","choices":{"text":["stone","ice"],"label":["1","2"]},"answerKey":"2"}`},
		{name: "mmlu", id: "cais/mmlu",
			card: cardOf([]string{"all", "test", "all/test-*", "dev", "all/dev-*", "auxiliary_train", "all/auxiliary_train-*"}, []string{"anatomy", "test", "anatomy/test-*"}),
			files: map[string][]byte{
				"all/auxiliary_train-00000-of-00001.parquet": parquetBytes(t, 9, mmlu),
				"all/test-00000-of-00001.parquet":            parquetBytes(t, 9, mmluRow{Question: "not this"}),
			}, text: "Which is even?\n\n1\n2\n3\n5", row: `{"question":"Which is even?","subject":"","choices":["1","2","3","5"],"answer":1}`},
		{name: "humaneval", id: "openai/openai_humaneval",
			card: cardOf([]string{"openai_humaneval", "test", "openai_humaneval/test-*"}),
			files: map[string][]byte{
				"openai_humaneval/test-00000-of-00001.parquet": parquetBytes(t, 9, humanRow{"HumanEval/900", "def one():\n", "    return 1\n", "def check(f):\n    assert f() == 1\n", "one"}),
			}, text: "def one():\n\n\n    return 1\n", row: `{"task_id":"HumanEval/900","prompt":"def one():\n","canonical_solution":"    return 1\n","test":"def check(f):\n    assert f() == 1\n","entry_point":"one"}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := testkit.NewHub(t)
			server.Add(test.id, "main", test.card, test.files)
			o := Options{Hub: hubClient(t, server)}
			c, err := OpenWith(t.Context(), test.name+"[:1]", o)
			require.NoError(t, err)
			require.Equal(t, []string{test.text}, collect(t, c))
			var rows []json.RawMessage
			for row, err := range Rows(t.Context(), test.name+"[:1]", o) {
				require.NoError(t, err)
				rows = append(rows, row)
			}
			require.Len(t, rows, 1)
			require.JSONEq(t, test.row, string(rows[0]))
		})
	}
}
