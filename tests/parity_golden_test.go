package tests

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"tandem/models"
	"tandem/tests/testkit"
	"tandem/workbench/train"
)

const (
	goldenMagic   = "tandem parity"
	goldenVersion = 2
	goldenCommand = "python tests/parity/golden.py" // where the files are missing; they name it themselves
)

// golden is what parity/golden.py wrote about one model. Maps are by precision: float64, float32, bfloat16.
type golden struct {
	Magic   string
	Version int
	Source  string `json:"source_sha256"`
	Command string
	Torch   string
	Seed    uint64

	Model   models.Config
	Options train.Options
	IDs     int `json:"ids"` // tokens are below it

	// The start of what the hash gives, to tell another hash from another model.
	Tokens, Targets []int32
	Embedding       []float32

	Loss     map[string]float64
	Training struct { // of each step
		Losses []float64
		Errors map[string][]float64
	}
	Logits  summary
	Weights []struct {
		Name          string
		Shape         []int
		Offset, Scale float64
		Gradient      summary
	}
}

// summary is a float64 tensor in a few numbers, with the errors that PyTorch makes in other precisions.
type summary struct {
	Of                 string // what the probe and the samples are drawn from
	Norm, Dot, Largest float64
	Samples            []float64
	Errors             map[string]struct{ Largest, Norm float64 }
}

// readGolden fails with the command that writes the files anew if there is none, or it is not what this test reads.
func readGolden(t testing.TB, name string) *golden {
	t.Helper()
	file := filepath.Join("parity", "golden", name+".json")
	data, err := os.ReadFile(file)
	require.NoErrorf(t, err, "golden %s is missing; write it with: %s", name, goldenCommand)
	g := &golden{}
	require.NoErrorf(t, json.Unmarshal(data, g), "read %s; write it anew with: %s", file, goldenCommand)
	var source []byte
	for _, script := range []string{"golden.py", "reference.py"} {
		text, err := os.ReadFile(filepath.Join("parity", script))
		require.NoError(t, err)
		source = append(source, bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))...)
	}
	digest := sha256.Sum256(source)
	require.Equalf(t, []any{goldenMagic, goldenVersion, hex.EncodeToString(digest[:])}, []any{g.Magic, g.Version, g.Source},
		"%s is stale: it was not written by parity/golden.py as it is now; write it anew with: %s", file, g.Command)
	tokens := g.batch(0)
	require.Equal(t, g.Tokens, tokens.Tokens[:len(g.Tokens)], "the hash gives other tokens than parity/golden.py")
	require.Equal(t, g.Targets, tokens.Targets[:len(g.Targets)], "the hash gives other targets than parity/golden.py")
	require.Equal(t, g.Embedding, g.fill("embedding", len(g.Embedding), 0, 1), "the hash gives other weights than parity/golden.py")
	return g
}

// bits is the hash that parity/golden.py documents: 24 bits for each number of a name.
func (g *golden) bits(name string, i int) int {
	hash := fnv.New64a()
	fmt.Fprintf(hash, "%d/%s", g.Seed, name)
	z := hash.Sum64() + uint64(i+1)*0x9E3779B97F4A7C15
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return int((z ^ z>>31) >> 40)
}

func (g *golden) unit(name string, i int) float64 { return float64(g.bits(name, i))/(1<<23) - 1 }

func (g *golden) fill(name string, size int, offset, scale float64) []float32 {
	values := make([]float32, size)
	for i := range values {
		values[i] = float32(offset + float64(scale*g.unit(name, i))) // the conversion keeps product and sum apart
	}
	return values
}

// weight fills weight number i.
func (g *golden) weight(i int) []float32 {
	w := g.Weights[i]
	return g.fill(w.Name, testkit.Size(w.Shape...), w.Offset, w.Scale)
}

// batch is batch_of in parity/golden.py.
func (g *golden) batch(step int) train.Batch {
	drawn := func(what string, i int) int { return g.bits(fmt.Sprintf("batch/%d/%s", step, what), i) }
	var b train.Batch
	context := g.Model.Context
	for row := range g.Options.Batch {
		boundary := 8 + drawn("boundary", row)%(context-16)
		document := func(at int) int {
			if at >= boundary {
				return 1
			}
			return 0
		}
		token := func(at int) int32 {
			start := drawn("start", 2*row+document(at))
			return int32((start + 7*at + drawn("noise", row*(context+1)+at)%4) % g.IDs)
		}
		for at := range context {
			target := token(at + 1)
			if drawn("ignore", row*context+at)%16 == 0 {
				target = -1
			}
			b.Tokens, b.Targets = append(b.Tokens, token(at)), append(b.Targets, target)
			b.Documents = append(b.Documents, int32(document(at)))
		}
	}
	return b
}
