package eval

import (
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCompressedRowsAreReadAndEmptyLinesPassedOver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.jsonl.gz")
	file, err := os.Create(path)
	require.NoError(t, err)
	writer := gzip.NewWriter(file)
	_, err = writer.Write([]byte("\uFEFF{\"a\": 1}\n\n{\"a\": 2}"))
	require.NoError(t, err)
	require.NoError(t, writer.Close())
	require.NoError(t, file.Close())
	numbers, skipped, err := collect(ReadRows(path, "a"), func(row Row) (n int, err error) { return n, row.Get("a", &n) })
	require.NoError(t, err)
	require.Equal(t, []int{1, 2}, numbers)
	require.Zero(t, skipped.Count)
}

func TestFilesThatCannotBeReadAreErrors(t *testing.T) {
	none := func(Row) (int, error) { return 0, nil }
	_, _, err := collect(ReadRows(filepath.Join(t.TempDir(), "none.jsonl"), "none.jsonl"), none)
	require.ErrorIs(t, err, os.ErrNotExist)

	path := filepath.Join(t.TempDir(), "broken.jsonl.gz")
	require.NoError(t, os.WriteFile(path, []byte("not compressed"), 0o644))
	_, _, err = collect(ReadRows(path, "broken.jsonl.gz"), none)
	require.EqualError(t, err, "read examples: broken.jsonl.gz: gzip: invalid header")

	path = filepath.Join(t.TempDir(), "long.jsonl")
	require.NoError(t, os.WriteFile(path, []byte(strings.Repeat("x", maxLine+1)), 0o644))
	_, _, err = collect(ReadRows(path, "long.jsonl"), none)
	require.ErrorContains(t, err, "read examples: long.jsonl: bufio.Scanner: token too long; a line may have 16777216 bytes")
}

// Else a question without its answer would count as one whose answer is 0 or "".
func TestAFieldThatIsNullIsMissing(t *testing.T) {
	row, err := NewRow("x:1", []byte(`{"question": "q", "choices": ["a", "b"], "answer": null}`))
	require.NoError(t, err)
	_, err = parseMMLU(row)
	require.EqualError(t, err, `x:1: field "answer" is null; it must have a value`)
	require.ErrorAs(t, err, new(*RowError))
}

// No row makes a parser or the rendering of a question panic, and what is refused is refused as a row.
func FuzzRows(f *testing.F) {
	f.Add(`{"question": "q", "choices": {"text": ["a", "b"], "label": ["A", "B"]}, "answerKey": "B"}`)
	f.Add(`{"question": "q", "choices": ["a", "b"], "answer": 1}`)
	f.Add(`{"query": "q", "choices": ["a", "b"], "gold": 1}`)
	f.Add(`{"context_options": ["a", "b"], "continuation": "c", "gold": 0}`)
	f.Add(`{"context": "a", "continuation": "c"}`)
	f.Add(`{"question": "q", "answer": "#### 1,000.5"}`)
	f.Add(`{"task_id": "t", "prompt": "p", "entry_point": "f", "test": "t"}`)
	f.Add(`null`)
	tok := byteTokenizer(f)
	f.Fuzz(func(t *testing.T, line string) {
		row, err := NewRow("x:1", []byte(line))
		refused := func(err error) {
			if err != nil {
				require.ErrorAs(t, err, new(*RowError))
			}
		}
		refused(err)
		for _, parse := range []func(Row) (question, error){parseARC, parseMMLU} {
			q, err := parse(row)
			if refused(err); err == nil {
				require.Contains(t, q.render(), q.letters[q.gold])
			}
		}
		for _, form := range []string{formChoice, formSchema, formLanguage} {
			it, err := parseItem(form)(row)
			if refused(err); err == nil {
				e := renderer{tok: tok, form: form, delimiter: " ", items: []item{it}}.example(0)
				for _, q := range e.queries {
					require.True(t, e.problem != "" || len(q.Context) > 0 && len(q.Continuation) > 0)
				}
			}
		}
		_, err = parseGSM8K(row)
		refused(err)
		_, err = parseHumanEval(nil)(row)
		refused(err)
	})
}
