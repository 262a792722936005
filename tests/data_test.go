package tests

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"tandem/tests/testkit"
)

// sentences is a parquet file of documents of random words, with a column "text" and one that is a number.
func sentences(t testing.TB, documents int, seed uint64) []byte {
	type row struct {
		Text  string `parquet:"text"`
		Grade int64  `parquet:"grade"`
	}
	random := rand.New(rand.NewPCG(seed, 1))
	words := strings.Fields("the a small old new cat dog house river town rain tree door sees finds runs walks over under near and or while")
	var rows []row
	for range documents {
		var picked []string
		for range 40 + random.IntN(40) {
			picked = append(picked, words[random.IntN(len(words))])
		}
		rows = append(rows, row{strings.Join(picked, " ") + ".", random.Int64N(5)})
	}
	var out bytes.Buffer
	w := parquet.NewGenericWriter[row](&out)
	_, err := w.Write(rows)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return out.Bytes()
}

// scriptHub is the hub that the scripts know as HF_ENDPOINT.
func scriptHub(t testing.TB) *testkit.Hub {
	hub := testkit.NewHub(t)
	hub.Token = "secret"
	hub.Add("tandem/tiny", "main", map[string]any{"license": "mit"}, map[string][]byte{
		"data/train-00000-of-00002.parquet": sentences(t, 60, 1),
		"data/train-00001-of-00002.parquet": sentences(t, 60, 2),
		"data/empty-00000-of-00001.parquet": sentences(t, 0, 3),
	})
	hub.Add("tandem/private", "main", nil, map[string][]byte{"train.parquet": sentences(t, 60, 4)})
	hub.Private("tandem/private")
	return hub
}

// addData gives a script the hub, a cache of it, a parquet file and one that was cut off.
func addData(t testing.TB, hub *testkit.Hub, env *testscript.Env) error {
	env.Setenv("HF_ENDPOINT", hub.URL)
	env.Setenv("HF_HOME", filepath.Join(env.WorkDir, ".hub"))
	whole := sentences(t, 60, 5)
	if err := os.WriteFile(filepath.Join(env.WorkDir, "tiny.parquet"), whole, 0o666); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(env.WorkDir, "cut.parquet"), whole[:len(whole)/2], 0o666)
}
