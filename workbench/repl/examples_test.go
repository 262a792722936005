package repl

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tandem/workbench/lab"
)

// hasty is a real workbench that trains as little as it can.
type hasty struct{ lab.Workbench }

func (h hasty) Train(ctx context.Context, r lab.TrainRequest) (lab.Training, error) {
	var c lab.Config
	if err := json.Unmarshal(r.Config, &c); err != nil {
		return lab.Training{}, err
	}
	steps := 4
	if r.Resume != "" { // to be stopped
		steps = 1e6
	}
	for _, changes := range [][]string{{"width=16", "transformer.head_dim=8", "pattern=TM", "vocab=300", "context=64"}, {"data=corpus", "backend=go", "batch=1",
		"minutes=0", fmt.Sprintf("steps=%d", steps), "eval_batches=1", "sample_tokens=2", "log_every=1"}} {
		if err := c.Override(changes); err != nil {
			return lab.Training{}, err
		}
	}
	r.Config, _ = json.Marshal(c)
	return h.Workbench.Train(ctx, r)
}

// Every example of help works, one after the other: with real models, as small as they can be.
func TestTheExamplesOfHelpWork(t *testing.T) {
	elsewhere(t)
	words, random := strings.Fields("sat new under cat door dog finds walks rain the runs small while"), rand.New(rand.NewPCG(1, 2))
	require.NoError(t, os.Mkdir("corpus", 0o700))
	for i := range 40 {
		var text strings.Builder
		for range 60 {
			text.WriteString(words[random.IntN(len(words))] + " ")
		}
		require.NoError(t, os.WriteFile(fmt.Sprintf("corpus/%02d.txt", i), []byte(text.String()), 0o600))
	}
	p, out, notes := newPrompt(t, hasty{lab.NewWorkbench(func(string) {})})
	ctx := within(t)
	for _, v := range verbs {
		require.NotEmpty(t, v.examples, v.name)
		for _, example := range v.examples {
			require.True(t, example == v.name || strings.HasPrefix(example, v.name+" "), example)
			out.Reset()
			err := p.Line(ctx, example)
			if v.name == "quit" {
				require.ErrorIs(t, err, errQuit)
				continue
			}
			require.NoError(t, err, example)
			require.NotEmpty(t, out.String(), example)
			out.Reset()
			require.NoError(t, p.Line(ctx, "help "+v.name))
			require.Contains(t, out.String(), "  "+example+"\n")
		}
	}
	require.FileExists(t, "mine.yaml")
	require.FileExists(t, "loss.svg")
	require.Contains(t, notes.String(), "step 4/4  loss ")
	require.Contains(t, notes.String(), "tiny-002 was trained on text")

	// more of the same, on the runs that there are now
	for _, step := range []struct{ line, out string }{
		{"plot tiny-001 tiny-002", `training loss.*: tiny-001: T M . tiny-002: T M \*`},
		{"plot" + strings.Repeat(" tiny-001", 8), `\*[^:]*training loss.* \*\n$`}, // more than there are marks; the last one drawn covers the others
		{"load tiny-001", `^T M: 2 layers, width 16, context 64, vocabulary 300`},
		{"set", `^$`},
		{"chat", `^$`},
		{"/temperature 0", `^$`},
		{"hello", `.`},
		{"/quit", `^$`},
		{"session", `no session: the work is done in this process`},
		{"watch tiny-001", `tiny-001: (done|ended) at step 4`},
	} {
		out.Reset()
		require.NoError(t, p.Line(ctx, step.line), step.line)
		require.Regexp(t, step.out, out.String(), step.line)
	}
	require.Contains(t, notes.String(), "temperature: 0")
	require.ErrorContains(t, p.Line(ctx, "stop"), "stop: nothing is being trained")
	require.ErrorContains(t, p.Line(ctx, "plot tiny-001 loss.gif"), `compare "loss.gif"`)
	require.NoError(t, p.Close())
}
