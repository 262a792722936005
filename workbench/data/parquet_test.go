package data

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/stretchr/testify/require"
)

// textRow, talkRow and questionRow are rows as datasets have them.
type textRow struct {
	Text *string `parquet:"text,optional"`
	URL  string  `parquet:"url"`
}

type talkRow struct {
	ID       int64 `parquet:"id"`
	Messages []struct {
		Role    string `parquet:"role"`
		Content string `parquet:"content"`
	} `parquet:"messages,list"`
}

type questionRow struct {
	Question string `parquet:"question"`
	Choices  struct {
		Label []string `parquet:"label,list"`
		Text  []string `parquet:"text,list"`
	} `parquet:"choices"`
	Answer int64 `parquet:"answer"`
}

// parquetBytes is a parquet file of rows, with so many rows in a group.
func parquetBytes[Row any](t testing.TB, perGroup int64, rows ...Row) []byte {
	t.Helper()
	var out bytes.Buffer
	w := parquet.NewGenericWriter[Row](&out, parquet.Compression(&parquet.Zstd), parquet.MaxRowsPerRowGroup(perGroup))
	for len(rows) > 0 {
		n := min(len(rows), int(perGroup))
		_, err := w.Write(rows[:n])
		require.NoError(t, err)
		rows = rows[n:]
	}
	require.NoError(t, w.Close())
	return out.Bytes()
}

func textRows(texts ...string) []textRow {
	var rows []textRow
	for i := range texts {
		rows = append(rows, textRow{&texts[i], "http://example"})
	}
	return rows
}

func numbered(from, to int) []string {
	var texts []string
	for i := from; i < to; i++ {
		texts = append(texts, fmt.Sprintf("document %d of them", i))
	}
	return texts
}

func TestParquetJSONLinesAndTextAreTheSameToTheLoader(t *testing.T) {
	dir := t.TempDir()
	talk := talkRow{ID: 1}
	talk.Messages = append(talk.Messages, struct {
		Role    string `parquet:"role"`
		Content string `parquet:"content"`
	}{"user", "Hi."}, struct {
		Role    string `parquet:"role"`
		Content string `parquet:"content"`
	}{"assistant", "Hello."})
	question := questionRow{Question: "Which?", Answer: 1}
	question.Choices.Label, question.Choices.Text = []string{"A", "B"}, []string{"this", "that"}

	put := func(name string, content []byte) { writeFile(t, string(content), dir, name) }
	put("a.parquet", parquetBytes(t, 10, textRows(numbered(0, 35)...)...))
	put("b.jsonl", []byte(`{"text":"a line","other":"another"}`))
	put("c.txt", []byte("a text"))
	put("talk.parquet.d/talk.parquet", parquetBytes(t, 10, talk))
	put("talk.d/talk.jsonl", []byte(`{"id":1,"messages":[{"role":"user","content":"Hi."},{"role":"assistant","content":"Hello."}]}`))
	put("ask.d/ask.parquet", parquetBytes(t, 10, question))
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, test := range []struct {
		name, spec string
		want       []string
	}{
		{"a glob of all kinds", at("[abc].*"), append(numbered(0, 35), "a line", "a text")},
		{"the first rows, over row groups", at("a.parquet[:12]"), numbered(0, 12)},
		{"no more rows than asked for, over files", at("[abc].*[:36]"), append(numbered(0, 35), "a line")},
		{"another column", at("a.parquet:url[:1]"), []string{"http://example"}},
		{"two columns", at("b.jsonl:other+text"), []string{"another\n\na line"}},
		{"a conversation", at("talk.parquet.d"), []string{"user: Hi.\n\nassistant: Hello."}},
		{"a conversation of JSON", at("talk.d/talk.jsonl"), []string{"user: Hi.\n\nassistant: Hello."}},
		{"the only column of text", at("ask.d/ask.parquet"), []string{"Which?"}},
		{"a question, its choices and a number", at("ask.d/ask.parquet:question+choices+answer"), []string{"Which?\n\nA\nB\nthis\nthat\n\n1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, err := Open(test.spec)
			require.NoError(t, err)
			require.Equal(t, test.spec, c.Name())
			require.Equal(t, test.want, collect(t, c))
			require.Equal(t, test.want, collect(t, c), "a second pass must not differ")
		})
	}
}

// itemList is a list as older versions of Arrow write it, which call the element "item".
type itemList struct{ parquet.Group }

func (itemList) Type() parquet.Type { return parquet.List(parquet.String()).Type() }

func TestListsThatArrowWritesAreReadToo(t *testing.T) {
	schema := parquet.NewSchema("row", parquet.Group{"messages": parquet.Optional(itemList{parquet.Group{
		"list": parquet.Repeated(parquet.Group{"item": parquet.Optional(parquet.String())})}})})
	var out bytes.Buffer
	w := parquet.NewWriter(&out, schema)
	_, err := w.WriteRows([]parquet.Row{{
		parquet.ValueOf("one").Level(0, 3, 0), parquet.ValueOf("two").Level(1, 3, 0)}, {parquet.ValueOf(nil).Level(0, 0, 0)}})
	require.NoError(t, err)
	require.NoError(t, w.Close())
	c, err := Open(writeFile(t, out.String(), t.TempDir(), "a.parquet"))
	require.NoError(t, err)
	require.Equal(t, []string{"one\ntwo"}, collect(t, c))
}

func TestRowsAreTheSameOfParquetAndJSONLines(t *testing.T) {
	dir := t.TempDir()
	question := questionRow{Question: "Which?", Answer: 1}
	question.Choices.Label, question.Choices.Text = []string{"A"}, []string{"this"}
	want := `{"question":"Which?","answer":1,"choices":{"label":["A"],"text":["this"]}}`
	for _, path := range []string{
		writeFile(t, string(parquetBytes(t, 10, question, question)), dir, "a.parquet"),
		writeFile(t, want+"\n\n"+want, dir, "a.jsonl"),
	} {
		count := 0
		for row, err := range Rows(t.Context(), path, Options{}) {
			require.NoError(t, err)
			require.JSONEq(t, want, string(row))
			count++
		}
		require.Equal(t, 2, count, path)
		count = 0
		for row, err := range Rows(t.Context(), path+"[:1]", Options{}) {
			require.NoError(t, err)
			require.True(t, json.Valid(row))
			count++
		}
		require.Equal(t, 1, count, path)
	}
	for _, err := range Rows(t.Context(), writeFile(t, "x", dir, "a.txt"), Options{}) {
		requireLine(t, err, "a.txt", "only parquet files and JSON lines have rows")
	}
}

func TestRowsOfParquetAreJSONWhateverTheyHold(t *testing.T) {
	type row struct {
		Text  []byte    `parquet:"text"` // as older writers leave text: bytes that nothing calls a string
		Score float64   `parquet:"score"`
		All   []float32 `parquet:"all,list"`
	}
	path := writeFile(t, string(parquetBytes(t, 10, row{[]byte("Which?"), math.NaN(), []float32{0.1, float32(math.Inf(1))}})), t.TempDir(), "a.parquet")
	for object, err := range Rows(t.Context(), path, Options{}) {
		require.NoError(t, err)
		require.JSONEq(t, `{"text":"Which?","score":null,"all":[0.1,null]}`, string(object))
	}
	path = writeFile(t, string(parquetBytes(t, 10, row{[]byte("Which?"), 1234567, []float32{0.1}})), t.TempDir(), "a.parquet")
	c, err := Open(path + ":text+score+all")
	require.NoError(t, err)
	require.Equal(t, []string{"Which?\n\n1234567\n\n0.1"}, collect(t, c), "the same numbers in text")
}

func TestABadParquetFileIsSaidInOneLine(t *testing.T) {
	dir := t.TempDir()
	whole := parquetBytes(t, 10, textRows(numbered(0, 50)...)...)
	two := parquetBytes(t, 10, struct{ Title, Body string }{"a", "b"})
	for _, test := range []struct {
		name, spec string
		content    []byte
		parts      []string
	}{
		{"one that was cut off", "", whole[:len(whole)/2], []string{"is it a parquet file, and whole?"}},
		{"something else", "", []byte("PAR1 it is not, but long enough to hold a footer"), []string{"is it a parquet file"}},
		{"no bytes but a blank", "", []byte(" "), []string{"is it a parquet file"}},
		{"a column that is not there", ":body", whole, []string{`no column "body"; there are text, url`}},
		{"no column that could be the text", "", two, []string{"not clear which column is the text", "Title, Body"}},
		{"no rows", "", parquetBytes[textRow](t, 10), []string{"no document in it holds any text (0 rows"}},
		{"rows without text", "", parquetBytes(t, 10, textRow{}, textRow{}), []string{"no document in it holds any text (2 rows, all blank)", "another corpus, split or column"}},
		{"a limit of none", "[:0]", whole, []string{"[:0]: write [:N]"}},
		{"a limit that is no number", "[:many]", whole, []string{"[:many]: write [:N]"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, err := Open(writeFile(t, string(test.content), dir, "bad.parquet") + test.spec)
			if err == nil {
				for _, e := range c.Documents() {
					err = e
				}
			}
			requireLine(t, err, append(test.parts, "bad.parquet")...)
		})
	}
}

func TestDamagedParquetNeverPanics(t *testing.T) {
	dir := t.TempDir()
	whole := parquetBytes(t, 10, textRows(numbered(0, 30)...)...)
	for at := 0; at < len(whole); at += 7 {
		damaged := bytes.Clone(whole)
		damaged[at] ^= 0x55
		c := &fileCorpus{name: "damaged", source: localFiles{func() ([]string, error) {
			return []string{filepath.Join(dir, "a.parquet")}, nil
		}}}
		require.NoError(t, os.WriteFile(filepath.Join(dir, "a.parquet"), damaged, 0o666))
		for _, err := range c.Documents() {
			if err != nil {
				require.NotContains(t, err.Error(), "\n")
			}
		}
	}
}

func TestADamagedLengthOfTheFooterTakesNoMemory(t *testing.T) {
	whole := parquetBytes(t, 10, textRows(numbered(0, 30)...)...)
	for name, length := range map[string]uint32{"a length below the file's start": uint32(len(whole)), "the largest there is": math.MaxUint32} {
		t.Run(name, func(t *testing.T) {
			binary.LittleEndian.PutUint32(whole[len(whole)-8:], length)
			path := writeFile(t, string(whole), t.TempDir(), "a.parquet")
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := openParquet(path)
			runtime.ReadMemStats(&after)
			requireLine(t, err, "a.parquet", "is it a parquet file, and whole?")
			require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20), "bytes")
		})
	}
}

func TestSkippedRowsAreCounted(t *testing.T) {
	rows := append(textRows("one", " \n", "two", ""), textRow{})
	c, err := Open(writeFile(t, string(parquetBytes(t, 2, rows...)), t.TempDir(), "a.parquet"))
	require.NoError(t, err)
	dir := t.TempDir()
	for range 2 { // made, and found in the cache
		s, err := Tokenize(t.Context(), c, byteEncoder{}, dir, nil)
		require.NoError(t, err)
		require.EqualValues(t, 3, s.Parts()[0].Skipped)
		require.EqualValues(t, 2, s.Documents(Train)+s.Documents(Validation))
		require.NoError(t, s.Close())
	}
}

func TestALargeParquetFileIsReadInLittleMemory(t *testing.T) {
	var texts []string
	for i := range 6000 {
		texts = append(texts, strings.Repeat(fmt.Sprintf("%x ", i*i), 1500))
	}
	path := writeFile(t, string(parquetBytes(t, 3000, textRows(texts...)...)), t.TempDir(), "a.parquet")
	size := 0
	for _, text := range texts {
		size += len(text)
	}
	texts = nil
	c, err := Open(path)
	require.NoError(t, err)
	runtime.GC()
	var before, now runtime.MemStats
	runtime.ReadMemStats(&before)
	read, number, peak := 0, 0, uint64(0)
	for text, err := range c.Documents() {
		require.NoError(t, err)
		if read += len(text); number%500 == 0 {
			runtime.GC()
			runtime.ReadMemStats(&now)
			peak = max(peak, now.HeapAlloc-min(now.HeapAlloc, before.HeapAlloc))
		}
		number++
	}
	require.Equal(t, size, read)
	require.Greater(t, size, 40<<20)
	require.Less(t, peak, uint64(size/4), "a page is held, not a file")
}
