package runlog

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func stepRecord(step int, loss, tokens, seconds float64) Record {
	return Record{Kind: KindStep, Step: step, Time: noon.Add(time.Duration(step) * time.Second),
		Values: map[string]float64{Loss: loss, Tokens: tokens, Seconds: seconds}}
}

func TestSummarize(t *testing.T) {
	eval := func(step int, bpb float64) Record {
		return Record{Kind: KindEval, Step: step, Values: map[string]float64{BitsPerByte: bpb}}
	}
	nan := math.NaN()
	for name, c := range map[string]struct {
		records []Record
		want    Summary
	}{
		"nothing": {nil, Summary{LastLoss: nan, BestValidation: nan, TokensPerSecond: nan}},
		"steps and evals": {
			[]Record{stepRecord(1, 5, 100, 10), eval(1, 1.5), stepRecord(2, 4, 100, 1), eval(2, 1.2), stepRecord(3, 4.5, 100, 2), eval(3, 1.3)},
			Summary{Steps: 3, LastLoss: 4.5, BestValidation: 1.2, BestStep: 2, Tokens: 300, Seconds: 13, TokensPerSecond: 50,
				Started: noon.Add(time.Second), Ended: noon.Add(3 * time.Second)}},
		"an even number of steps": {
			[]Record{stepRecord(1, 5, 100, 1), stepRecord(2, 4, 300, 1)},
			Summary{Steps: 2, LastLoss: 4, BestValidation: nan, Tokens: 400, Seconds: 2, TokensPerSecond: 200,
				Started: noon.Add(time.Second), Ended: noon.Add(2 * time.Second)}},
		"a run that diverged": {
			[]Record{stepRecord(1, nan, nan, 0), eval(1, nan), eval(2, 3)},
			Summary{Steps: 1, LastLoss: nan, BestValidation: 3, BestStep: 2, TokensPerSecond: nan,
				Started: noon.Add(time.Second), Ended: noon.Add(time.Second)}},
		"no seconds, but times and rates": {
			[]Record{{Kind: "event", Time: noon}, {Kind: KindStep, Step: 7, Time: noon.Add(time.Minute), Values: map[string]float64{TokensPerSecond: 9}}},
			Summary{Steps: 7, LastLoss: nan, BestValidation: nan, Seconds: 60, TokensPerSecond: 9, Started: noon, Ended: noon.Add(time.Minute)}},
	} {
		t.Run(name, func(t *testing.T) {
			have := Summarize(c.records)
			for _, pair := range [][2]*float64{{&c.want.LastLoss, &have.LastLoss}, {&c.want.BestValidation, &have.BestValidation},
				{&c.want.TokensPerSecond, &have.TokensPerSecond}} {
				require.Equal(t, math.IsNaN(*pair[0]), math.IsNaN(*pair[1]))
				*pair[0], *pair[1] = finite(*pair[0]), finite(*pair[1])
			}
			require.Equal(t, c.want, have)
		})
	}
}

func TestASummaryOfADivergedRunIsStillJSON(t *testing.T) {
	text, err := json.Marshal(Summarize([]Record{stepRecord(2, math.NaN(), 100, 1)}))
	require.NoError(t, err)
	require.JSONEq(t, `{"steps":2,"last_loss":null,"best_validation":null,"best_step":0,"tokens":100,"seconds":1,
		"tokens_per_second":100,"started":"2026-01-02T12:00:02.123456789Z","ended":"2026-01-02T12:00:02.123456789Z","skipped":0}`, string(text))
	text, err = json.Marshal(Summary{})
	require.NoError(t, err)
	require.Contains(t, string(text), `"started":null`)
}

func TestSmooth(t *testing.T) {
	nan := math.NaN()
	for name, c := range map[string]struct {
		values []float64
		beta   float64
		want   []float64
	}{
		"nothing":                             {nil, 0.9, []float64{}},
		"a constant stays":                    {[]float64{7, 7, 7}, 0.9, []float64{7, 7, 7}},
		"the definition, by hand":             {[]float64{1, 2, 4}, 0.5, []float64{1, (0.5 + 2) / 1.5, (0.25 + 1 + 4) / 1.75}},
		"beta 0 changes nothing":              {[]float64{1, 2, 4}, 0, []float64{1, 2, 4}},
		"beta below 0 changes nothing":        {[]float64{1, 2, 4}, -3, []float64{1, 2, 4}},
		"beta NaN changes nothing":            {[]float64{1, 2, 4}, nan, []float64{1, 2, 4}},
		"beta 1 is the running mean":          {[]float64{1, 2, 6}, 1, []float64{1, 1.5, 3}},
		"beta above 1 is the running mean":    {[]float64{1, 2, 6}, 5, []float64{1, 1.5, 3}},
		"NaN and infinity leave it as it was": {[]float64{nan, 1, nan, math.Inf(1), 3}, 1, []float64{nan, 1, 1, 1, 2}},
	} {
		t.Run(name, func(t *testing.T) {
			have := Smooth(c.values, c.beta)
			require.Len(t, have, len(c.want))
			for i := range have {
				require.Equal(t, math.IsNaN(c.want[i]), math.IsNaN(have[i]))
				require.InDelta(t, finite(c.want[i]), finite(have[i]), 1e-12)
			}
		})
	}
}

func TestListFindsTheRunsNewestFirst(t *testing.T) {
	runs := t.TempDir()
	line := func(r Record) string {
		text, err := r.MarshalJSON()
		require.NoError(t, err)
		return string(text) + "\n"
	}
	writeFile(t, filepath.Join(runs, "old", MetricsFile), line(stepRecord(5, 3, 10, 1))+"torn")
	writeFile(t, filepath.Join(runs, "new", MetricsFile), line(stepRecord(9, 2, 10, 1)))
	require.NoError(t, WriteRun(filepath.Join(runs, "new"), map[string]int{"seed": 1}))
	require.NoError(t, WriteRun(filepath.Join(runs, "begun"), map[string]int{"seed": 1}))
	ancient := noon.AddDate(-1, 0, 0)
	require.NoError(t, os.Chtimes(filepath.Join(runs, "begun", RunFile), ancient, ancient))
	writeFile(t, filepath.Join(runs, "notes", "README.md"), "not a run")
	writeFile(t, filepath.Join(runs, "file"), "not a run")
	require.NoError(t, os.MkdirAll(filepath.Join(runs, "odd", MetricsFile), 0o777))
	require.NoError(t, os.MkdirAll(filepath.Join(runs, "broken", MetricsFile), 0o777))
	require.NoError(t, WriteRun(filepath.Join(runs, "broken"), map[string]int{"seed": 1}))
	older := ancient.AddDate(-1, 0, 0)
	require.NoError(t, os.Chtimes(filepath.Join(runs, "broken", RunFile), older, older))

	list, err := List(runs)
	require.NoError(t, err)
	require.Len(t, list, 4)
	require.Equal(t, []string{"new", "old", "begun", "broken"}, []string{list[0].Name, list[1].Name, list[2].Name, list[3].Name})
	require.Equal(t, filepath.Join(runs, "new"), list[0].Dir)
	require.Equal(t, 9, list[0].Summary.Steps)
	require.Equal(t, 2.0, list[0].Summary.LastLoss)
	require.Equal(t, 1, list[1].Summary.Skipped)
	require.Empty(t, list[2].Problem, "a run that has only begun, or an export, lacks nothing")
	require.Zero(t, list[2].Summary.Steps)
	require.Contains(t, list[3].Problem, MetricsFile)

	_, err = List(filepath.Join(runs, "nowhere"))
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, "train one first")
}

func TestRunJSONIsReplacedWholeAndReadBack(t *testing.T) {
	type info struct {
		Pattern string
		Seed    int
	}
	dir := filepath.Join(t.TempDir(), "runs", "a")
	for seed := range 3 {
		require.NoError(t, WriteRun(dir, info{"T12 M8", seed}))
		var have info
		require.NoError(t, ReadRun(dir, &have))
		require.Equal(t, info{"T12 M8", seed}, have)
	}
	require.ErrorContains(t, WriteRun(dir, math.NaN()), "run.json")
	var have info
	require.NoError(t, ReadRun(dir, &have), "a failed write must leave the old file")
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1, "no temporary file may stay")
}

func TestReadRunSaysWhatIsWrongAndWhatExists(t *testing.T) {
	runs := filepath.Join(t.TempDir(), "runs [1]")
	require.ErrorContains(t, ReadRun(filepath.Join(runs, "x"), nil), "there are no runs in")
	require.NoError(t, WriteRun(filepath.Join(runs, "a"), 1))
	require.NoError(t, WriteRun(filepath.Join(runs, "b"), 2))
	err := ReadRun(filepath.Join(runs, "x"), nil)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, "are a, b")
	writeFile(t, filepath.Join(runs, "a", RunFile), "{\n\"seed\": 1,\n")
	var v map[string]any
	require.ErrorContains(t, ReadRun(filepath.Join(runs, "a"), &v), "line 3")
}
