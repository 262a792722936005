package hub_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tandem/tests/testkit"
	"tandem/workbench/data/hub"
)

// card is the head of a README with configurations.
func card(configs ...map[string]any) map[string]any {
	return map[string]any{"license": "mit", "configs": configs}
}

func TestTheSplitIsChosenAsTheCardAndTheNamesSay(t *testing.T) {
	big := noise(200, 1)
	many := map[string]any{"config_name": "main", "data_files": []map[string]any{
		{"split": "train", "path": "main/train-*"}, {"split": "test", "path": []string{"main/test-*"}},
	}}
	socratic := map[string]any{"config_name": "socratic", "data_files": []map[string]any{{"split": "train", "path": "socratic/**"}}}
	files := func(names ...string) map[string][]byte {
		made := map[string][]byte{"README.md": []byte("x")}
		for _, name := range names {
			made[name] = big
		}
		return made
	}
	named := files("main/train-0.parquet", "main/train-1.parquet", "main/test-0.parquet", "socratic/a/b.parquet")
	for _, test := range []struct {
		name          string
		card          map[string]any
		files         map[string][]byte
		converted     map[string][]byte
		config, split string
		want          []string
		parts         []string // of the error
	}{
		{name: "shards without a word are all train", files: files("shard_00001.parquet", "shard_00000.parquet"), want: []string{"shard_00000.parquet", "shard_00001.parquet"}},
		{name: "names tell splits", files: files("data/train-00000-of-00001.parquet", "data/test-00000-of-00001.parquet"), split: "test", want: []string{"data/test-00000-of-00001.parquet"}},
		{name: "any name before the number of a shard is a split", files: files("data/auxiliary-x/a.parquet", "data/extra_train-00000-of-00001.parquet"), split: "extra_train", want: []string{"data/extra_train-00000-of-00001.parquet"}},
		{name: "the only split needs no name", files: files("openai_humaneval/test-00000-of-00001.parquet"), want: []string{"openai_humaneval/test-00000-of-00001.parquet"}},
		{name: "the card names a configuration", card: card(many, socratic), files: named, config: "main", want: []string{"main/train-0.parquet", "main/train-1.parquet"}},
		{name: "two stars cross folders", card: card(many, socratic), files: named, config: "socratic", want: []string{"socratic/a/b.parquet"}},
		{name: "a default configuration is taken", card: card(many, map[string]any{"config_name": "s", "default": true, "data_dir": "socratic"}), files: named, want: []string{"socratic/a/b.parquet"}},
		{name: "the only configuration needs no name", card: card(map[string]any{"config_name": "odd", "data_files": "main/*.parquet"}), files: named, want: []string{"main/train-0.parquet", "main/train-1.parquet"}},
		{name: "what is not parquet is read as the hub converted it", files: files("a.jsonl"), converted: files("default/train/0000.parquet", "default/partial-big/0000.parquet"), want: []string{"default/train/0000.parquet"}},
		{name: "no such configuration", card: card(many, socratic), files: named, config: "none", parts: []string{`no configuration "none"`, "main, socratic", "hf:owner/set:CONFIG"}},
		{name: "several configurations and none by default", card: card(many, socratic), files: named, parts: []string{`no configuration "default"`, "main, socratic"}},
		{name: "no such split", card: card(many, socratic), files: named, config: "main", split: "dev", parts: []string{`no split "dev"`, "train, test"}},
		{name: "no parquet and no conversion", files: files("a.csv"), parts: []string{"is not parquet", "not to be had"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := testkit.NewHub(t)
			server.PageSize = 2
			server.Add(id, "main", test.card, test.files)
			if test.converted != nil {
				server.Add(id, "refs/convert/parquet", nil, test.converted)
			}
			choice, err := client(t, server).Parquet(t.Context(), id, hub.Main, test.config, test.split)
			if test.parts != nil {
				requireLine(t, err, test.parts...)
				return
			}
			require.NoError(t, err)
			var got []string
			for _, file := range choice.Files {
				got = append(got, file.Path)
			}
			require.Equal(t, test.want, got)
			if test.card != nil {
				require.Equal(t, "mit", choice.Dataset.Licence)
			}
		})
	}
}

func TestAPartialConversionIsTold(t *testing.T) {
	server := testkit.NewHub(t)
	server.Add(id, "main", nil, map[string][]byte{"a.csv": noise(100, 1)})
	server.Add(id, "refs/convert/parquet", nil, map[string][]byte{"default/partial-train/0000.parquet": noise(100, 2)})
	choice, err := client(t, server).Parquet(t.Context(), id, hub.Main, "", "")
	require.NoError(t, err)
	require.True(t, choice.Partial)
	require.Equal(t, "train", choice.Split)
}

func TestAccessIsRefusedWithTheRemedy(t *testing.T) {
	for _, test := range []struct {
		name, token string
		parts       []string
	}{
		{"no token", "", []string{"401 Unauthorized (Repository not found)", "private or does not exist", "set HF_TOKEN"}},
		{"a token without access", "other", []string{"403 Forbidden", "gated", "ask for access on", "/datasets/owner/set"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := testkit.NewHub(t)
			server.Token = "secret"
			server.Add(id, "main", nil, shards(1, 100))
			server.Private(id)
			c := client(t, server)
			c.Token = test.token
			_, err := c.Parquet(t.Context(), id, hub.Main, "", "")
			requireLine(t, err, test.parts...)
			require.Len(t, server.Requests(), 1, "it must not be tried again")
		})
	}
}

func TestADatasetThatTheHubTookDownIsSaidToBe(t *testing.T) {
	server := testkit.NewHub(t)
	server.Misbehave = func(w http.ResponseWriter, _ *http.Request, _ int) bool {
		w.Header().Set("X-Error-Message", "Access to this resource is disabled.")
		w.WriteHeader(http.StatusForbidden)
		return true
	}
	_, err := client(t, server).Dataset(t.Context(), id, hub.Main)
	requireLine(t, err, "403 Forbidden", "the hub has disabled the dataset", "/datasets/owner/set", "choose another")
	require.NotContains(t, err.Error(), "token")
}

func TestAMirrorBelowAFolderIsAskedForEveryPage(t *testing.T) {
	server := testkit.NewHub(t)
	server.PageSize = 2
	files := shards(4, 100)
	server.Add(id, "main", nil, files)
	mirror := httptest.NewServer(http.StripPrefix("/mirrored/hub", server.Config.Handler)) // passes on the hub's addresses
	t.Cleanup(mirror.Close)
	c := client(t, server)
	c.Endpoint = mirror.URL + "/mirrored/hub"
	d, err := c.Dataset(t.Context(), id, hub.Main)
	require.NoError(t, err)
	require.Len(t, d.Files, len(files))

	server.Misbehave = func(w http.ResponseWriter, r *http.Request, _ int) bool {
		if strings.Contains(r.URL.Path, "/tree/") {
			w.Header().Set("Link", `<http://elsewhere.example/list?cursor=2>; rel="next"`)
			w.Write([]byte("[]"))
			return true
		}
		return false
	}
	c.Cache = t.TempDir()
	_, err = c.Dataset(t.Context(), id, hub.Main)
	requireLine(t, err, "the list of files does not go on after "+c.Endpoint, "elsewhere.example")
}

func TestAnAnswerThatCannotBeIsRefused(t *testing.T) {
	for _, test := range []struct {
		name, verb, body string
		parts            []string
	}{
		{"no JSON", "/revision/", "<html>", []string{"no such JSON", "is HF_ENDPOINT a hub?"}},
		{"no commit", "/revision/", "{}", []string{"names no commit"}},
		{"a path out of the cache", "/tree/", `[{"type":"file","path":"../../x","size":1,"oid":"ab"}]`, []string{`"../../x"`, "cannot be"}},
		{"a sum out of the cache", "/tree/", `[{"type":"file","path":"x","size":1,"oid":"../y"}]`, []string{`"../y"`, "cannot be"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := testkit.NewHub(t)
			server.Add(id, "main", nil, shards(1, 100))
			server.Misbehave = func(w http.ResponseWriter, r *http.Request, _ int) bool {
				if strings.Contains(r.URL.Path, test.verb) {
					w.Write([]byte(test.body))
					return true
				}
				return false
			}
			_, err := client(t, server).Dataset(t.Context(), id, hub.Main)
			requireLine(t, err, test.parts...)
		})
	}
	for _, bad := range []string{"", "set", "a/b/c", "../b", "a/..", "a b/c", "a/b--c"} {
		_, err := (&hub.Client{}).Dataset(t.Context(), bad, hub.Main)
		requireLine(t, err, "is named OWNER/NAME")
	}
}

func TestTheEnvironmentOfTheHubsToolsIsRead(t *testing.T) {
	home := t.TempDir()
	for _, name := range []string{"HF_ENDPOINT", "HF_TOKEN", "HF_TOKEN_PATH", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "XDG_CACHE_HOME"} {
		t.Setenv(name, "")
	}
	t.Setenv("HF_HOME", home)
	c, err := hub.FromEnvironment()
	require.NoError(t, err)
	require.Equal(t, "https://huggingface.co", c.Endpoint)
	require.Equal(t, filepath.Join(home, "hub"), c.Cache)
	require.Empty(t, c.Token)
	require.False(t, c.Offline)

	require.NoError(t, os.WriteFile(filepath.Join(home, "token"), []byte("kept\n"), 0o600))
	t.Setenv("HF_ENDPOINT", "http://mirror.example/")
	t.Setenv("HF_HUB_CACHE", "/elsewhere")
	t.Setenv("HF_HUB_OFFLINE", "true")
	c, err = hub.FromEnvironment()
	require.NoError(t, err)
	require.Equal(t, []any{"http://mirror.example", "kept", "/elsewhere", true}, []any{c.Endpoint, c.Token, c.Cache, c.Offline})

	// As a file of variables gives them, which no shell reads.
	t.Setenv("HOME", home)
	t.Setenv("HF_HUB_CACHE", "$HOME/here")
	t.Setenv("HF_TOKEN_PATH", "~/token")
	c, err = hub.FromEnvironment()
	require.NoError(t, err)
	require.Equal(t, []string{filepath.Join(home, "here"), "kept"}, []string{c.Cache, c.Token})

	t.Setenv("HF_TOKEN", "given")
	c, err = hub.FromEnvironment()
	require.NoError(t, err)
	require.Equal(t, "given", c.Token)

	t.Setenv("HF_ENDPOINT", "huggingface.co")
	_, err = hub.FromEnvironment()
	requireLine(t, err, `HF_ENDPOINT "huggingface.co"`, "https://huggingface.co")
}
