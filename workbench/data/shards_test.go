package data

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// requireDocuments checks that s holds exactly texts, each on its side of the split and in order.
func requireDocuments(t *testing.T, s *Shards, texts []string, enc Encoder) {
	t.Helper()
	next := make(map[Split]int64)
	bytes, tokens := make(map[Split]int64), make(map[Split]int64)
	for _, text := range texts {
		split := SplitOf(text)
		got, err := s.AppendDocument([]int32{-7}, split, next[split])
		require.NoError(t, err)
		require.Equal(t, enc.AppendEncode([]int32{-7, enc.BOS()}, text), got)
		next[split]++
		bytes[split] += int64(len(text))
		tokens[split] += int64(len(got) - 1)
	}
	for _, split := range []Split{Train, Validation} {
		require.Equal(t, next[split], s.Documents(split))
		require.Equal(t, bytes[split], s.Bytes(split))
		require.Equal(t, tokens[split], s.Tokens(split))
	}
	_, err := s.AppendDocument(nil, Train, next[Train])
	requireLine(t, err, "read document", "there are")
}

func TestShardsGiveBackEveryDocument(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	few, many := randomTexts(r, 300, 200), append(randomTexts(r, 900, 300), randomTexts(r, 2, 40000)...)
	for _, test := range []struct {
		name  string
		texts []string
		enc   Encoder
		width int64
	}{
		{"ids of a small vocabulary take two bytes", few, byteEncoder{}, 2},
		{"ids of a large vocabulary take four bytes", many, newRareEncoder(many), 4},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := tokenize(t, &listCorpus{texts: test.texts}, test.enc)
			require.Equal(t, test.width, s.folders[0].manifest.tokenWidth())
			requireDocuments(t, s, test.texts, test.enc)
		})
	}
}

func TestShardFilesAreBoundedAndStillOneSequence(t *testing.T) {
	texts := randomTexts(rand.New(rand.NewPCG(3, 4)), 400, 300)
	folder := filepath.Join(t.TempDir(), "shards")
	work := shardWork{corpus: &listCorpus{texts: texts}, encoder: byteEncoder{}, folder: folder, limit: 1000}
	require.NoError(t, work.run(t.Context()))
	s, err := openShards(folder)
	require.NoError(t, err)
	defer s.Close()
	require.Greater(t, len(s.folders[0].manifest.Splits[Train].Shards), 10)
	for _, shard := range s.folders[0].manifest.Splits[Train].Shards {
		require.LessOrEqual(t, shard.Size, int64(2*(1000+300+1)))
	}
	requireDocuments(t, s, texts, byteEncoder{})
}

func TestTokenizeUsesTheCacheOnlyWhileItIsSoundAndTheSame(t *testing.T) {
	dir := t.TempDir()
	c := &listCorpus{texts: randomTexts(rand.New(rand.NewPCG(5, 6)), 200, 100)}
	made := func() bool {
		made := false
		s, err := Tokenize(t.Context(), c, byteEncoder{}, dir, func(int, int64) { made = true })
		require.NoError(t, err)
		requireDocuments(t, s, c.texts, byteEncoder{})
		require.NoError(t, s.Close())
		return made
	}
	require.True(t, made(), "the first time")
	require.False(t, made(), "the second time")

	folders, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	require.Len(t, folders, 1)
	files, err := os.ReadDir(folders[0])
	require.NoError(t, err)
	require.Len(t, files, 5)
	for _, file := range files {
		path := filepath.Join(folders[0], file.Name())
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		for name, damaged := range map[string][]byte{
			"a flipped bit":   append([]byte{text[0] ^ 4}, text[1:]...),
			"a cut end":       text[:max(0, len(text)-2)], // a line end after the JSON says nothing
			"an empty file":   nil,
			"an added byte":   append(text[:len(text):len(text)], 0xff),
			"a changed digit": append(append(text[:len(text)/2:len(text)/2], text[len(text)/2]^1), text[len(text)/2+1:]...),
		} {
			require.NoError(t, os.WriteFile(path, damaged, 0o666))
			if file.Name() == manifestFile && name == "an added byte" {
				continue // what follows the JSON is not read
			}
			require.True(t, made(), "%s in %s must not be used", name, file.Name())
			require.False(t, made())
		}
		require.NoError(t, os.Remove(path))
		require.True(t, made(), "without %s", file.Name())
	}
	c.texts, c.fingerprint = append(c.texts, "one more"), "new"
	require.True(t, made(), "the corpus changed")
	left, err := filepath.Glob(filepath.Join(dir, workPrefix+"*"))
	require.NoError(t, err)
	require.Empty(t, left)
}

// loudEncoder gives an id that it should not.
type loudEncoder struct{ byteEncoder }

func (loudEncoder) AppendEncode(dst []int32, text string) []int32 { return append(dst, 257) }

// muteEncoder gives no ids.
type muteEncoder struct{ byteEncoder }

func (muteEncoder) AppendEncode(dst []int32, text string) []int32 { return dst }

// movingCorpus has another fingerprint each time.
type movingCorpus struct {
	*listCorpus
	asked int
}

func (c *movingCorpus) Fingerprint() (string, error) {
	c.asked++
	return string(rune('a' + c.asked)), nil
}

func TestAFailedTokenizeSaysWhyAndLeavesNothing(t *testing.T) {
	texts := randomTexts(rand.New(rand.NewPCG(7, 8)), 1000, 100)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, test := range []struct {
		name   string
		ctx    context.Context
		corpus Corpus
		enc    Encoder
		parts  []string
	}{
		{"the caller ends it", ended, &listCorpus{texts: texts}, byteEncoder{}, []string{"context canceled"}},
		{"the corpus cannot be read", t.Context(), &listCorpus{texts: texts, failAt: 700}, byteEncoder{}, []string{"on fire"}},
		{"the corpus has no documents", t.Context(), &listCorpus{}, byteEncoder{}, []string{"no document", "give another corpus"}},
		{"the corpus encodes to nothing", t.Context(), &listCorpus{texts: texts}, muteEncoder{}, []string{"no document"}},
		{"the encoder gives an id outside its vocabulary", t.Context(), &listCorpus{texts: texts}, loudEncoder{}, []string{"id 257"}},
		{"the corpus changes meanwhile", t.Context(), &movingCorpus{listCorpus: &listCorpus{texts: texts}}, byteEncoder{}, []string{"changed while", "run again"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			_, err := Tokenize(test.ctx, test.corpus, test.enc, dir, nil)
			requireLine(t, err, append(test.parts, "tokenize list")...)
			entries, err := os.ReadDir(dir)
			require.NoError(t, err)
			require.Empty(t, entries)
		})
	}
	t.Run("the folder cannot be made", func(t *testing.T) {
		file := writeFile(t, "x", t.TempDir(), "file")
		_, err := Tokenize(t.Context(), &listCorpus{texts: texts}, byteEncoder{}, filepath.Join(file, "cache"), nil)
		requireLine(t, err, "tokenize list", "give a folder")
	})
}

func tokenizeInto(t *testing.T, dir string, texts []string) error {
	s, err := Tokenize(t.Context(), &listCorpus{texts: texts}, byteEncoder{}, dir, nil)
	if err != nil {
		return err
	}
	return s.Close()
}

func TestTwoTokenizesAtOnceShareTheCache(t *testing.T) {
	dir := t.TempDir()
	texts := randomTexts(rand.New(rand.NewPCG(9, 9)), 500, 100)
	var all sync.WaitGroup
	errs := make([]error, 4)
	for i := range errs {
		all.Go(func() { errs[i] = tokenizeInto(t, dir, texts) })
	}
	all.Wait()
	require.NoError(t, errors.Join(errs...))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1)
}

func TestTokenizesAtOnceMendADamagedCacheTogether(t *testing.T) {
	dir := t.TempDir()
	texts := randomTexts(rand.New(rand.NewPCG(10, 9)), 60, 100)
	var all sync.WaitGroup
	errs := make([]error, 160)
	for i := range errs {
		if i%8 == 0 {
			all.Wait()
			folders, err := filepath.Glob(filepath.Join(dir, "*"))
			require.NoError(t, err)
			for _, folder := range folders {
				require.NoError(t, os.WriteFile(filepath.Join(folder, "train-00000.bin"), []byte("x"), 0o666))
			}
		}
		all.Go(func() { errs[i] = tokenizeInto(t, dir, texts) })
	}
	all.Wait()
	require.NoError(t, errors.Join(errs...))
}

func TestSweepRemovesOnlyWhatIsLongAbandoned(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "[no-pattern")
	fresh := writeFile(t, "x", dir, workPrefix+"fresh", "a")
	stale := writeFile(t, "x", dir, workPrefix+"stale", "a")
	shards := writeFile(t, "x", dir, "shards", "a")
	ago := time.Now().Add(-48 * time.Hour)
	for _, path := range []string{stale, filepath.Dir(stale), shards, filepath.Dir(shards), filepath.Dir(fresh)} {
		require.NoError(t, os.Chtimes(path, ago, ago))
	}
	sweep(dir)
	require.FileExists(t, fresh)
	require.FileExists(t, shards)
	require.NoDirExists(t, filepath.Dir(stale))
}

func TestTheManifestReadsAsDocumented(t *testing.T) {
	texts := []string{"abc", "de"}
	folder := filepath.Join(t.TempDir(), "shards")
	work := shardWork{corpus: &listCorpus{texts: texts}, encoder: byteEncoder{}, folder: folder, limit: 1000, fingerprint: ""}
	require.NoError(t, work.run(t.Context()))
	raw, err := os.ReadFile(filepath.Join(folder, "train-00000.bin"))
	require.NoError(t, err)
	require.Equal(t, "\x00\x01a\x00b\x00c\x00\x00\x01d\x00e\x00", string(raw))
	raw, err = os.ReadFile(filepath.Join(folder, "train-index.bin"))
	require.NoError(t, err)
	require.Equal(t, "\x04\x00\x00\x00\x00\x00\x00\x00\x07\x00\x00\x00\x00\x00\x00\x00", string(raw))
	raw, err = os.ReadFile(filepath.Join(folder, manifestFile))
	require.NoError(t, err)
	var m map[string]any
	require.NoError(t, json.Unmarshal(raw, &m))
	require.EqualValues(t, 257, m["vocabulary"])
	require.EqualValues(t, 5, m["splits"].(map[string]any)["train"].(map[string]any)["bytes"])
}
