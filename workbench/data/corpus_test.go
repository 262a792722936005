package data

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestOpenReadsEveryFormInAFixedOrder(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, "second", dir, "b.txt")
	writeFile(t, "\uFEFFfirst\r\n", dir, "a.MD")
	writeFile(t, "{\"text\":\"third\",\"id\":1}\n\n{\"text\":\"\"}\n{\"text\":\"fourth\\n\\u00e9\"}", dir, "sub", "c.jsonl")
	writeFile(t, "no", dir, ".hidden", "d.txt")
	writeFile(t, "no", dir, "e.png")
	writeFile(t, " \n\t\n", dir, "blank.txt")
	for _, test := range []struct {
		name, spec string
		want       []string
	}{
		{"a folder gives the text files below it, sorted by path", dir, []string{"first", "second", "third", "fourth\né"}},
		{"a text file of any name is a document", filepath.Join(dir, "e.png"), []string{"no"}},
		{"JSON lines give their text fields", filepath.Join(dir, "sub", "c.jsonl"), []string{"third", "fourth\né"}},
		{"a glob takes files and folders", filepath.Join(dir, "[bs]*"), []string{"second", "third", "fourth\né"}},
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

func TestAFolderOfLinksGivesTheFilesTheyLeadTo(t *testing.T) {
	dir := t.TempDir()
	text := writeFile(t, "elsewhere", dir, "store", "a.txt")
	writeFile(t, "here", dir, "books", "b.txt")
	books := filepath.Join(dir, "books")
	if err := os.Symlink(text, filepath.Join(books, "a.txt")); err != nil {
		t.Skip("no links here: ", err)
	}
	require.NoError(t, os.Symlink(books, filepath.Join(books, "round.txt")))
	c, err := Open(books)
	require.NoError(t, err)
	require.Equal(t, []string{"elsewhere", "here"}, collect(t, c))

	require.NoError(t, os.Remove(text))
	_, err = Open(books)
	requireLine(t, err, "open corpus", filepath.Join("books", "a.txt"), "no such file")
}

func TestJSONLinesAreReadToTheLetter(t *testing.T) {
	for _, test := range []struct {
		name, text, columns string
		want                []string
	}{
		{"a byte order mark and lines of another system", "\uFEFF{\"text\":\"one\"}\r\n{\"text\":\"two\"}\r\n", "", []string{"one", "two"}},
		{"large numbers", `{"q":"a","n":1000000}` + "\n" + `{"q":"b","n":37037036703703701}` + "\n" + `{"q":"c","n":[0.5,-3e400]}`, ":q+n",
			[]string{"a\n\n1000000", "b\n\n37037036703703701", "c\n\n0.5\n-3e400"}},
		{"fields whose names differ only in case", `{"text":"one","TEXT":"two"}` + "\n" + `{"Text":3,"content":"four"}`, "", []string{"one", "four"}},
		{"a named column that is null here and there", `{"q":"a","n":null}` + "\n" + `{"q":null,"n":"b"}` + "\n" + `{"q":null,"n":null}`, ":q+n", []string{"a", "b"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, err := Open(writeFile(t, test.text, t.TempDir(), "a.jsonl") + test.columns)
			require.NoError(t, err)
			require.Equal(t, test.want, collect(t, c))
		})
	}
}

func TestOpenRefusesWhatIsNoCorpusAndListsTheForms(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, "", dir, "empty.txt")
	require.NoError(t, os.Mkdir(filepath.Join(dir, "hollow"), 0o777))
	writeFile(t, "some text", dir, "plain", "text.txt")
	for name, spec := range map[string]string{
		"a missing path":                    filepath.Join(dir, "nothing.txt"),
		"an unknown word":                   "fineweb",
		"an empty file":                     filepath.Join(dir, "empty.txt"),
		"a folder without text":             filepath.Join(dir, "hollow"),
		"a column of a text file":           filepath.Join(dir, "plain", "text.txt") + ":body",
		"a column of a folder of text":      filepath.Join(dir, "plain") + ":body",
		"a glob that matches nothing":       filepath.Join(dir, "*.rst"),
		"a glob that is malformed":          filepath.Join(dir, "[a"),
		"a package that does not exist":     "godoc:no/such/package",
		"a folder that does not exist":      "godoc:./nowhere",
		"a folder without Go source":        "godoc:" + dir,
		"a file where source is looked for": "godoc:" + filepath.Join(dir, "empty.txt"),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Open(spec)
			requireLine(t, err, "open corpus", spec, "godoc:PACKAGE", ".jsonl", "glob")
		})
	}
}

func TestBadInputIsReportedWithItsPlace(t *testing.T) {
	dir := t.TempDir()
	for _, test := range []struct{ name, file, text, place, why string }{
		{"JSON that is cut off", "a.jsonl", "{\"text\":\"x\"}\n{\"text\":", "a.jsonl:2", "unexpected end"},
		{"an object without text", "b.jsonl", "\n{\"body\":\"x\",\"id\":3}\n", "b.jsonl:2", "(body, id)"},
		{"a text that is a number", "c.ndjson", "{\"text\":5}\n", "c.ndjson:1", "number"},
		{"a line that is no object", "d.jsonl", "[1]\n", "d.jsonl:1", "array"},
		{"two objects in a line", "g.jsonl", "{\"text\":null} {\"text\":\"b\"}\n", "g.jsonl:1", "after top-level value"},
		{"a binary file", "e.txt", "PK\x03\x04\x00\x00", "e.txt", "byte 4 is zero"},
		{"an object whose text is null", "f.jsonl", "{\"text\":null}\n", "f.jsonl:1", "no \"text\""},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, err := Open(writeFile(t, test.text, dir, test.file))
			require.NoError(t, err)
			for _, e := range c.Documents() {
				err = e
			}
			requireLine(t, err, test.place, test.why)
			_, err = Tokenize(t.Context(), c, byteEncoder{}, t.TempDir(), nil)
			requireLine(t, err, "tokenize", test.place)
		})
	}
}

func TestABigTextIsSplitAtBlankLinesIntoBoundedDocuments(t *testing.T) {
	for _, test := range []struct {
		name, text string
		documents  int
	}{
		{"a file of one document's size stays whole", paragraphs(16, 1000), 1},
		{"a bigger one is split at blank lines", paragraphs(64, 1000), 8},
		{"text without blank lines is split at lines", strings.Repeat("one line\n", 20000), 3},
		{"text without lines is split between characters", strings.Repeat("€", 50000), 3},
		{"bytes that are no UTF-8 are split anyhow", strings.Repeat("\xbf", 100000), 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, err := Open(writeFile(t, test.text, t.TempDir(), "x.txt"))
			require.NoError(t, err)
			texts := collect(t, c)
			require.Len(t, texts, test.documents)
			plain := strings.NewReplacer("\n", "")
			require.Equal(t, plain.Replace(test.text), plain.Replace(strings.Join(texts, "")), "no text may be lost")
			for _, text := range texts {
				require.LessOrEqual(t, len(text), 2*documentMax)
				require.Equal(t, utf8.ValidString(test.text), utf8.ValidString(text))
			}
		})
	}
}

func TestFingerprintFollowsTheFiles(t *testing.T) {
	dir := t.TempDir()
	path := writeFile(t, "one", dir, "a.txt")
	c, err := Open(dir)
	require.NoError(t, err)
	seen := make(map[string]string)
	check := func(step string, fresh bool) {
		mark, err := c.Fingerprint()
		require.NoError(t, err)
		if fresh {
			require.Empty(t, seen[mark], step)
		} else {
			require.NotEmpty(t, seen[mark], step)
		}
		seen[mark] = step
	}
	check("at first", true)
	check("untouched", false)
	writeFile(t, "longer", dir, "a.txt")
	check("another size", true)
	require.NoError(t, os.Chtimes(path, time.Time{}, time.Now().Add(-time.Hour)))
	check("another time", true)
	writeFile(t, "two", dir, "b.txt")
	check("one more file", true)
}

func TestSplitOfIsFixedForEver(t *testing.T) {
	// A change here would mix validation text of old runs into training.
	var validation []int
	for i := range 100 {
		if SplitOf(strings.Repeat("x", i)) == Validation {
			validation = append(validation, i)
		}
	}
	require.Equal(t, []int{26, 57, 65, 71, 91, 97}, validation)
}

func TestTextsPartitionsTheCorpus(t *testing.T) {
	var all []string
	for i := range 2000 {
		all = append(all, strings.Repeat("y", i+1))
	}
	c := &listCorpus{texts: all}
	counts := make(map[Split]int)
	for _, split := range []Split{Train, Validation} {
		for text, err := range Texts(c, split) {
			require.NoError(t, err)
			require.Equal(t, split, SplitOf(text))
			counts[split]++
		}
	}
	require.Equal(t, len(all), counts[Train]+counts[Validation])
	require.InDelta(t, len(all)/ValidationShare, counts[Validation], 40)
}
