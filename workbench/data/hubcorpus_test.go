package data

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tandem/tests/testkit"
	"tandem/workbench/data/hub"
)

// hubClient reads from a fake hub into a cache of its own.
func hubClient(t testing.TB, server *testkit.Hub) *hub.Client {
	return &hub.Client{Endpoint: server.URL, Cache: t.TempDir(), Backoff: time.Millisecond}
}

// threeShards are a dataset of 30 documents in three files.
func threeShards(t testing.TB) map[string][]byte {
	return map[string][]byte{
		"data/train-00000-of-00003.parquet": parquetBytes(t, 4, textRows(numbered(0, 10)...)...),
		"data/train-00001-of-00003.parquet": parquetBytes(t, 4, textRows(numbered(10, 20)...)...),
		"data/train-00002-of-00003.parquet": parquetBytes(t, 4, textRows(numbered(20, 30)...)...),
		"data/test-00000-of-00001.parquet":  parquetBytes(t, 4, textRows("unseen")...),
	}
}

// fetched counts the files that were asked for.
func fetched(server *testkit.Hub) int {
	count := 0
	for _, request := range server.Requests() {
		if strings.Contains(request, "/resolve/") {
			count++
		}
	}
	return count
}

func TestADatasetOfTheHubIsACorpus(t *testing.T) {
	server := testkit.NewHub(t)
	server.Add("owner/set", "main", map[string]any{"license": "mit"}, threeShards(t))
	for _, test := range []struct {
		name, spec string
		want       []string
		files      int
	}{
		{"the train split, whole", "hf:owner/set", numbered(0, 30), 3},
		{"the first rows, and no file beyond them", "hf:owner/set[:10]", numbered(0, 10), 1},
		{"one row more takes one file more", "hf:owner/set::train[:11]", numbered(0, 11), 2},
		{"another split", "hf:owner/set:default:test", []string{"unseen"}, 1},
		{"another column", "hf:owner/set:::url[:2]", []string{"http://example", "http://example"}, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			client := hubClient(t, server)
			var said []string
			client.Say = func(text string) { said = append(said, text) }
			server.Requests()
			c, err := OpenWith(t.Context(), test.spec, Options{Hub: client})
			require.NoError(t, err)
			require.Zero(t, fetched(server), "opening downloads nothing")
			require.Equal(t, test.spec, c.Name())
			require.Equal(t, test.want, collect(t, c))
			require.Equal(t, test.files, fetched(server))
			require.Len(t, said, 1)
			require.Contains(t, said[0], "dataset owner/set, configuration default, split")
			require.Contains(t, said[0], "licence mit")

			c, err = OpenWith(t.Context(), test.spec, Options{Hub: client})
			require.NoError(t, err)
			require.Equal(t, test.want, collect(t, c))
			require.Zero(t, fetched(server), "the second time nothing is downloaded")
			require.Len(t, said, 1, "nor is the licence said again")
		})
	}
}

func TestTokensOfADatasetSurviveItsNewCommitAndNoticeNewText(t *testing.T) {
	server := testkit.NewHub(t)
	files := threeShards(t)
	client, dir := hubClient(t, server), t.TempDir()
	made := func() bool {
		made := false
		c, err := OpenWith(t.Context(), "hf:owner/set", Options{Hub: client})
		require.NoError(t, err)
		s, err := Tokenize(t.Context(), c, byteEncoder{}, dir, func(int, int64) { made = true })
		require.NoError(t, err)
		require.NoError(t, s.Close())
		return made
	}
	server.Add("owner/set", "main", nil, files)
	require.True(t, made())
	files["README.md"] = []byte("a new one")
	server.Add("owner/set", "main", nil, files)
	require.False(t, made(), "the text is the same")
	files["data/train-00000-of-00003.parquet"] = parquetBytes(t, 4, textRows(numbered(40, 50)...)...)
	server.Add("owner/set", "main", nil, files)
	require.True(t, made(), "the text is another")
}

func TestADownloadThatFailsLosesNothing(t *testing.T) {
	server := testkit.NewHub(t)
	server.Add("owner/set", "main", nil, threeShards(t))
	broken := true
	server.Misbehave = func(w http.ResponseWriter, r *http.Request, _ int) bool {
		if broken && strings.Contains(r.URL.Path, "00002-of") {
			w.WriteHeader(http.StatusBadGateway)
			return true
		}
		return false
	}
	client, dir := hubClient(t, server), t.TempDir()
	c, err := OpenWith(t.Context(), "hf:owner/set", Options{Hub: client})
	require.NoError(t, err)
	_, err = Tokenize(t.Context(), c, byteEncoder{}, dir, nil)
	requireLine(t, err, "tokenize hf:owner/set", "train-00002-of-00003.parquet", "502 Bad Gateway")
	broken = false
	server.Requests()
	s, err := Tokenize(t.Context(), c, byteEncoder{}, dir, nil)
	require.NoError(t, err)
	require.EqualValues(t, 30, s.Documents(Train)+s.Documents(Validation))
	require.NoError(t, s.Close())
	require.Equal(t, 1, fetched(server), "only what was missing is asked for")
}

func TestABadSpecOfTheHubIsSaidInOneLine(t *testing.T) {
	server := testkit.NewHub(t)
	server.Add("owner/set", "main", nil, threeShards(t))
	server.Add("owner/void", "main", nil, map[string][]byte{"train.parquet": parquetBytes[textRow](t, 4)})
	for _, test := range []struct {
		spec  string
		parts []string
	}{
		{"hf:set", []string{`dataset "set"`, "OWNER/NAME"}},
		{"hf:owner/set:a:b:c:d", []string{"5 parts", "hf:OWNER/NAME[:CONFIG][:SPLIT][:COLUMN]"}},
		{"hf:owner/set:french", []string{`no configuration "french"`, "it has default"}},
		{"hf:owner/set::dev", []string{`no split "dev"`, "test, train"}},
		{"hf:owner/set:::body", []string{`no column "body"`, "text, url"}},
		{"hf:owner/void", []string{"no document in it holds any text", "split or column"}},
		{"hf:owner/other", []string{"401", "private or does not exist", "HF_TOKEN"}},
		{"hf:owner/set[:x]", []string{"[:x]: write [:N]"}},
	} {
		t.Run(test.spec, func(t *testing.T) {
			c, err := OpenWith(t.Context(), test.spec, Options{Hub: hubClient(t, server)})
			if err == nil {
				for _, e := range c.Documents() {
					err = e
				}
			}
			requireLine(t, err, test.parts...)
		})
	}
}

func TestPresetsAreWellFormedAndSayTheirLicence(t *testing.T) {
	for _, preset := range Presets {
		plain, _, err := cutLimit(preset.Spec)
		require.NoError(t, err)
		h, err := parseHub(plain)
		require.NoError(t, err, preset.Name)
		require.Equal(t, datasetPages+h.id, preset.URL)
		require.NotEmpty(t, preset.Licence)
	}
	server := testkit.NewHub(t)
	server.Add("karpathy/climbmix-400b-shuffle", "main", nil, map[string][]byte{"shard_00000.parquet": parquetBytes(t, 4, textRows(numbered(0, 9)...)...)})
	client := hubClient(t, server)
	var said []string
	client.Say = func(text string) { said = append(said, text) }
	c, err := OpenWith(t.Context(), "climbmix[:3]", Options{Hub: client})
	require.NoError(t, err)
	require.Equal(t, numbered(0, 3), collect(t, c))
	require.Len(t, said, 2)
	require.Contains(t, said[0], "licence CC BY-NC 4.0")
	require.Contains(t, said[1], "only the first 3 rows are read; climbmix[:N] reads N")
}

func TestDescribeAndFetch(t *testing.T) {
	server := testkit.NewHub(t)
	files := threeShards(t)
	server.Add("owner/set", "main", map[string]any{"license": "mit"}, files)
	o := Options{Hub: hubClient(t, server)}
	local := writeFile(t, `{"text":"a line"}`, t.TempDir(), "a.jsonl")
	found, err := Describe(t.Context(), "hf:owner/set=3,"+local+"=1", 2, o)
	require.NoError(t, err)
	require.Len(t, found, 2)
	require.Equal(t, "mit", found[0].Licence)
	require.Equal(t, []string{"default:test,train"}, found[0].Others)
	require.Equal(t, []string{"text", "url"}, found[0].Columns)
	require.EqualValues(t, []any{3, int64(-1)}, []any{found[0].Files, found[0].Documents})
	require.Equal(t, numbered(0, 2), found[0].First)
	require.Equal(t, Description{Name: local, Files: 1, Bytes: 17, Documents: 1, First: []string{"a line"}}, found[1])

	count, err := Fetch(t.Context(), "hf:owner/set", o)
	require.NoError(t, err)
	require.Equal(t, 3, count)
	found, err = Describe(t.Context(), "hf:owner/set", 0, o)
	require.NoError(t, err)
	require.EqualValues(t, 30, found[0].Documents)
}
