package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tandem/workbench/config"
	"tandem/workbench/session"
)

// elsewhere moves the test to a folder with a small corpus, and no runs.
func elsewhere(t testing.TB) {
	t.Helper()
	folder := t.TempDir()
	t.Setenv(CacheVariable, filepath.Join(folder, "cache"))
	t.Chdir(folder)
	words := strings.Fields("sat new under cat door dog finds walks rain the runs small while sees over town tree and or river")
	random := rand.New(rand.NewPCG(1, 2))
	require.NoError(t, os.Mkdir("corpus", 0o700))
	for i := range 60 {
		var text strings.Builder
		for range 60 {
			text.WriteString(words[random.IntN(len(words))] + " ")
		}
		require.NoError(t, os.WriteFile(filepath.Join("corpus", fmt.Sprintf("%02d.txt", i)), []byte(text.String()), 0o600))
	}
}

// tinyRequest asks for a training of a tiny model.
func tinyRequest(t testing.TB, run string, steps int, more ...string) session.TrainRequest {
	t.Helper()
	overrides := append([]string{"data=corpus", "backend=go", "vocab=300", "pattern=TM", "width=16", "context=64", "batch=1", "run=" + run,
		fmt.Sprintf("steps=%d", steps), "eval_batches=1", "sample_tokens=2"}, more...)
	c, err := config.Load("", overrides)
	require.NoError(t, err)
	text, err := json.Marshal(c)
	require.NoError(t, err)
	return session.TrainRequest{Config: text, Command: []string{"workbench", "train"}}
}

func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func workbenchHere(t testing.TB) *local {
	w := NewWorkbench(func(string) {})
	t.Cleanup(func() { require.NoError(t, w.Close()) })
	return w.(*local)
}

// fullyTrained trains a run to its end.
func fullyTrained(t testing.TB, w session.Workbench, r session.TrainRequest) (events []session.Event) {
	t.Helper()
	training, err := w.Train(within(t), r)
	require.NoError(t, err)
	events, err = gathered(w.Watch(within(t), training.Run))
	require.NoError(t, err)
	last := events[len(events)-1].Training
	require.NotNil(t, last)
	require.Equal(t, session.Done, last.State, last.Problem)
	return events
}

func gathered[T any](stream iter.Seq2[T, error]) (items []T, err error) {
	for item, err := range stream {
		if err != nil {
			return items, err
		}
		items = append(items, item)
	}
	return items, nil
}

// asked is an answer's text and usage.
func asked(t testing.TB, pieces iter.Seq2[session.Piece, error]) (text string, usage session.Usage) {
	t.Helper()
	all, err := gathered(pieces)
	require.NoError(t, err)
	for _, piece := range all {
		text += piece.Text
	}
	require.NotNil(t, all[len(all)-1].Usage)
	return text, *all[len(all)-1].Usage
}
