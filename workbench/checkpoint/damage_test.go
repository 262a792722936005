package checkpoint

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// corrupt flips all bits of the byte at the position, counted from the end when negative.
func corrupt(t testing.TB, path string, at int) {
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	if at < 0 {
		at += len(data)
	}
	data[at] ^= 0xff
	require.NoError(t, os.WriteFile(path, data, 0o600))
}

func TestDamageToAnyFileIsNamedAndTheOlderCheckpointUsed(t *testing.T) {
	for _, name := range append([]string{manifestFile}, contentFiles...) {
		for how, damage := range map[string]func(t *testing.T, path string){
			"flipped first byte": func(t *testing.T, path string) { corrupt(t, path, 0) },
			"flipped tenth byte": func(t *testing.T, path string) { corrupt(t, path, 10) },
			"flipped last byte":  func(t *testing.T, path string) { corrupt(t, path, -1) },
			"last byte cut off":  func(t *testing.T, path string) { shorten(t, path, 1) },
			"half cut off":       func(t *testing.T, path string) { shorten(t, path, 2) },
			"emptied":            func(t *testing.T, path string) { require.NoError(t, os.Truncate(path, 0)) },
			"a byte too many":    func(t *testing.T, path string) { appendByte(t, path) },
			"removed":            func(t *testing.T, path string) { require.NoError(t, os.Remove(path)) },
			"made a folder": func(t *testing.T, path string) {
				require.NoError(t, os.Remove(path))
				require.NoError(t, os.Mkdir(path, 0o777))
			},
		} {
			if name == manifestFile && how == "last byte cut off" {
				continue // a newline that says nothing
			}
			t.Run(name+" "+how, func(t *testing.T) {
				run := tidyRun(t)
				mustSave(t, run, snapshot(1, 0))
				dir := mustSave(t, run, snapshot(2, 0))
				damage(t, filepath.Join(dir, name))
				_, err := Load(dir)
				require.ErrorContains(t, err, name)
				require.ErrorContains(t, Verify(dir), name)
				s, entry, skipped, err := Latest(run)
				require.NoError(t, err)
				require.Equal(t, 1, entry.Step)
				require.Equal(t, snapshot(1, 0), s)
				require.Len(t, skipped, 1)
				require.Contains(t, skipped[0].String(), "step-000002 (")
				require.Contains(t, skipped[0].Reason, name)
			})
		}
	}
}

// shorten cuts off the last byte (1) or half of the file (2).
func shorten(t testing.TB, path string, how int64) {
	stat, err := os.Stat(path)
	require.NoError(t, err)
	size := stat.Size() - 1
	if how == 2 {
		size = stat.Size() / 2
	}
	require.NoError(t, os.Truncate(path, size))
}

func appendByte(t testing.TB, path string) {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	defer f.Close()
	_, err = f.WriteString("x")
	require.NoError(t, err)
}

func TestEveryFlippedByteOfTheWeightsIsFound(t *testing.T) {
	dir := mustSave(t, tidyRun(t), Snapshot{Model: []Tensor{{"a", "F32", []int{2}, []byte("12345678")}}})
	path := filepath.Join(dir, modelFile)
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	for at := range whole {
		corrupt(t, path, at)
		_, err := Load(dir)
		require.ErrorContains(t, err, modelFile, "byte %d", at)
		require.NoError(t, os.WriteFile(path, whole, 0o600))
	}
	require.NoError(t, Verify(dir))
}

func TestAForeignManifestIsRefused(t *testing.T) {
	file := `{"size":1,"sha256":""}`
	files := fmt.Sprintf(`{"model.safetensors":%s,"optimizer.safetensors":%s,"state.json":%s`, file, file, file)
	for name, c := range map[string]struct{ text, want string }{
		"of another format":     {`{"format":"x"}`, "foreign"},
		"of a later version":    {`{"format":"tandem checkpoint","version":9,"new":1}`, "format version 9"},
		"with an unknown field": {`{"format":"tandem checkpoint","version":1,"new":1}`, "unknown field"},
		"with a negative step":  {`{"format":"tandem checkpoint","version":1,"step":-1}`, "negative"},
		"without a file":        {`{"format":"tandem checkpoint","version":1,"files":{}}`, "not listed"},
		"with a path":           {`{"format":"tandem checkpoint","version":1,"files":` + files + `,"../../secret":` + file + `}}`, "unknown file"},
		"that is a list":        {`[]`, "damaged"},
		"with text after it":    {`{"format":"tandem checkpoint","version":1} x`, "damaged"},
	} {
		t.Run(name, func(t *testing.T) {
			var m manifest
			require.ErrorContains(t, m.decode([]byte(c.text)), c.want)
		})
	}
}
