package lab

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/stretchr/testify/require"

	"tandem/workbench/chat"
	"tandem/workbench/tokenizer"
)

// byteTemplate is one of a tokenizer without merges.
func byteTemplate(t testing.TB) *chat.Template {
	t.Helper()
	tok, err := tokenizer.Train(func(func(string, error) bool) {}, 256+9)
	require.NoError(t, err)
	template, err := chat.NewTemplate(tok)
	require.NoError(t, err)
	return template
}

// keys reads all examples and sorts what they are about.
func keys(t testing.TB, spec string) (found []string) {
	t.Helper()
	for example, err := range examples(t.Context(), spec, func(string) {}) {
		require.NoError(t, err)
		found = append(found, example.Key)
	}
	slices.Sort(found)
	return found
}

type talkRow struct {
	Messages []talkMessage `parquet:"messages,list"`
	Source   string        `parquet:"source"`
}

type talkMessage struct {
	Content string `parquet:"content"`
	Role    string `parquet:"role"`
}

func TestConversationsComeFromFilesFoldersGlobsAndParquet(t *testing.T) {
	t.Chdir(t.TempDir())
	require.NoError(t, os.Mkdir("talks", 0o777))
	for name, text := range map[string]string{
		"talks/a.jsonl": `{"question":"a","answer":"1"}`,
		"talks/b.json":  `[{"instruction":"b","output":"1"},{"instruction":"c","output":"1"}]`,
		"talks/c.txt":   "not to be read",
	} {
		require.NoError(t, os.WriteFile(name, []byte(text), 0o666))
	}
	require.NoError(t, parquet.WriteFile("p.parquet", []talkRow{
		{[]talkMessage{{"d", "user"}, {"1", "assistant"}}, "x"}, {[]talkMessage{{"e", "user"}, {"1", "assistant"}}, "x"},
	}))
	require.NoError(t, os.Mkdir("mixed", 0o777))
	require.NoError(t, os.WriteFile("mixed/a.jsonl", []byte(`{"question":"a","answer":"1"}`), 0o666))
	require.NoError(t, parquet.WriteFile("mixed/f.parquet", []talkRow{{[]talkMessage{{"f", "user"}, {"1", "assistant"}}, "x"}}))
	for spec, want := range map[string][]string{
		"mixed":                       {"a", "f"},
		"mixed/*":                     {"a", "f"},
		"talks/a.jsonl":               {"a"},
		"talks":                       {"a", "b", "c"},
		"talks/*.json":                {"b", "c"},
		"talks/b.json, p.parquet":     {"b", "c", "d", "e"},
		"p.parquet[:1],talks/a.jsonl": {"a", "d"},
		"talks/a.jsonl,talks/*.js*":   {"a", "a", "b", "c"},
	} {
		require.Equal(t, want, keys(t, spec), spec)
	}
}

func TestQuestionsAboutOneSymbolStayOnOneSideOfTheSplit(t *testing.T) {
	c, err := readConversations(t.Context(), "godoc-chat:strings", byteTemplate(t), 2048, func(string) {})
	require.NoError(t, err)
	require.Greater(t, c.Train, 100)
	require.Positive(t, c.Validation)
	require.Equal(t, c.Read, c.Train+c.Validation)
	require.True(t, c.asked)
	require.Contains(t, c.question, "strings.")

	symbols := keys(t, "godoc-chat:strings")
	require.Less(t, len(slices.Compact(symbols)), c.Read, "several questions about one symbol")
}

func TestNothingIsLostBetweenReadingAndPacking(t *testing.T) {
	t.Chdir(t.TempDir())
	var lines []string
	for i := range 3000 { // more than are rendered together
		lines = append(lines, fmt.Sprintf(`{"question":"%d","answer":"%s"}`, i, strings.Repeat("x", i%40)))
	}
	require.NoError(t, os.WriteFile("many.jsonl", []byte(strings.Join(lines, "\n")), 0o666))
	c, err := readConversations(t.Context(), "many.jsonl", byteTemplate(t), 32, func(string) {})
	require.NoError(t, err)
	require.Equal(t, 3000, c.Read)
	skipped := 0
	for _, s := range c.Skipped {
		skipped += s.Count
		require.Contains(t, []string{chat.EmptyAnswer, tooLong}, s.Reason)
	}
	require.Len(t, c.Skipped, 2)
	require.Equal(t, 3000, c.Train+c.Validation+skipped)
	require.InDelta(t, 0.05, float64(c.Validation)/float64(c.Train+c.Validation), 0.02)

	again, err := readConversations(t.Context(), "many.jsonl", byteTemplate(t), 32, func(string) {})
	require.NoError(t, err)
	require.Equal(t, c.train.Content(), again.train.Content(), "the same on any number of cores")
}
