package runlog

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 123456789, time.UTC)

func metricsPath(t testing.TB) string { return filepath.Join(t.TempDir(), MetricsFile) }

func writeFile(t testing.TB, path, text string) {
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o777))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
}

func mustOpen(t testing.TB, path string) *Writer {
	w, dropped, err := Open(path)
	require.NoError(t, err)
	require.Zero(t, dropped)
	return w
}

func TestARecordIsOneFlatObject(t *testing.T) {
	line, err := json.Marshal(Record{Kind: KindStep, Step: 12, Time: noon,
		Values: map[string]float64{Loss: 3.25, Tokens: 1e9, "grad": math.NaN(), "lr": 2e-7},
		Text:   map[string]string{"note": "a \"b\"\nc"}})
	require.NoError(t, err)
	require.Equal(t, `{"kind":"step","step":12,"time":"2026-01-02T12:00:00.123456789Z",`+
		`"grad":"NaN","loss":3.25,"lr":2e-7,"tokens":1000000000,"note":"a \"b\"\nc"}`, string(line))
}

func TestAWriterKnowsWhenItsFileIsNoLongerThere(t *testing.T) {
	for name, harm := range map[string]func(t *testing.T, path string){
		"deleted with its folder": func(t *testing.T, path string) { require.NoError(t, os.RemoveAll(filepath.Dir(path))) },
		"moved":                   func(t *testing.T, path string) { require.NoError(t, os.Rename(path, path+".old")) },
		"replaced": func(t *testing.T, path string) {
			require.NoError(t, os.Rename(path, path+".old"))
			writeFile(t, path, "{}")
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "run", MetricsFile)
			require.NoError(t, os.Mkdir(filepath.Dir(path), 0o777))
			w := mustOpen(t, path)
			defer w.Close()
			require.NoError(t, w.Present())
			harm(t, path)
			require.EqualError(t, w.Present(), path+" is gone: it was deleted, moved or replaced while it was being written")
		})
	}
}

func TestRecordsComeBackAsTheyWereWritten(t *testing.T) {
	records := []Record{
		{Kind: KindStep, Step: 1, Time: noon, Values: map[string]float64{"a": -0.1, "b": math.Inf(1), "c": math.Inf(-1), "d": math.MaxFloat64, "e": 5e-324}},
		{Kind: KindSample, Step: 2, Time: noon, Text: map[string]string{"nan": "NaN", "inf": "+Inf", "minus": "-Inf", "empty": "", "名": "\u2028<&>"}},
		{Kind: "NaN", Step: -3, Time: noon},
	}
	path := metricsPath(t)
	for _, r := range records { // opened anew for each: a resumed run appends
		w := mustOpen(t, path)
		require.NoError(t, w.Write(r))
		require.NoError(t, w.Sync())
		require.NoError(t, w.Close())
		require.Error(t, w.Write(r), "a closed writer must say so")
	}
	have, bad, err := ReadAll(path)
	require.NoError(t, err)
	require.Empty(t, bad)
	require.Equal(t, records, have)

	// A text "NaN" is escaped, so that any JSON reader sees the text.
	line, err := records[1].MarshalJSON()
	require.NoError(t, err)
	var plain map[string]any
	require.NoError(t, json.Unmarshal(line, &plain))
	require.Equal(t, "NaN", plain["nan"])
}

func TestNaNAndInfiniteValuesComeBackAsNumbers(t *testing.T) {
	var r Record
	require.NoError(t, r.UnmarshalJSON([]byte(`{"kind":"step","a":"NaN","b":"+Inf","c":"-Inf","d":"Inf","e":null}`)))
	require.True(t, math.IsNaN(r.Values["a"]))
	require.True(t, math.IsInf(r.Values["b"], 1))
	require.True(t, math.IsInf(r.Values["c"], -1))
	require.Len(t, r.Values, 3)
	require.Equal(t, map[string]string{"d": "Inf"}, r.Text)
}

func TestWriteRefusesWhatCouldNotBeReadBack(t *testing.T) {
	path := metricsPath(t)
	w := mustOpen(t, path)
	defer w.Close()
	for name, c := range map[string]struct {
		r    Record
		want string
	}{
		"no kind":                 {Record{}, "no kind"},
		"a value named step":      {Record{Kind: "x", Values: map[string]float64{"step": 1}}, "taken"},
		"a text named kind":       {Record{Kind: "x", Text: map[string]string{"kind": "y"}}, "taken"},
		"one name twice":          {Record{Kind: "x", Values: map[string]float64{"a": 1}, Text: map[string]string{"a": ""}}, "both"},
		"an empty name":           {Record{Kind: "x", Text: map[string]string{"": ""}}, "empty"},
		"a name that is not text": {Record{Kind: "x", Text: map[string]string{"\xff": ""}}, "UTF-8"},
		"a text without end":      {Record{Kind: "x", Text: map[string]string{"a": strings.Repeat("x", maxLine)}}, "shorten"},
		"a year beyond RFC 3339":  {Record{Kind: "x", Time: time.Date(12000, 1, 1, 0, 0, 0, 0, time.UTC)}, "year"},
	} {
		t.Run(name, func(t *testing.T) { require.ErrorContains(t, w.Write(c.r), c.want) })
	}
	stat, err := os.Stat(path)
	require.NoError(t, err)
	require.Zero(t, stat.Size())
}

func TestWriteStampsTheTime(t *testing.T) {
	path := metricsPath(t)
	w := mustOpen(t, path)
	defer w.Close()
	before := time.Now()
	require.NoError(t, w.Write(Record{Kind: KindEvent}))
	records, _, err := Read(path)
	require.NoError(t, err)
	require.False(t, records[0].Time.Before(before))
	require.False(t, records[0].Time.After(time.Now()))
}

func TestOpenRepairsALastLineCutAtAnyByte(t *testing.T) {
	first, err := Record{Kind: KindStep, Step: 1, Time: noon}.MarshalJSON()
	require.NoError(t, err)
	second, err := Record{Kind: KindSample, Step: 2, Time: noon, Text: map[string]string{"text": "é {} \n"}}.MarshalJSON()
	require.NoError(t, err)
	path := metricsPath(t)
	for cut := range len(second) + 1 {
		writeFile(t, path, string(first)+"\n"+string(second[:cut]))
		w, dropped, err := Open(path)
		require.NoError(t, err)
		require.NoError(t, w.Write(Record{Kind: KindStep, Step: 3}))
		require.NoError(t, w.Close())
		records, bad, err := Read(path)
		require.NoError(t, err)
		require.Empty(t, bad)
		if cut == len(second) { // it lacked only its newline: nothing is lost
			require.Zero(t, dropped)
			require.Len(t, records, 3)
			continue
		}
		require.EqualValues(t, cut, dropped)
		require.Len(t, records, 2)
		require.Equal(t, 3, records[1].Step)
	}
}

func TestOpenCutsATornLineOfAnyLength(t *testing.T) {
	path := metricsPath(t)
	for _, size := range []int{1, 64<<10 - 1, 64 << 10, 64<<10 + 1, 200 << 10, maxLine + 10} {
		torn := "{" + strings.Repeat("x", size-1)
		writeFile(t, path, `{"kind":"a"}`+"\n"+torn)
		w, dropped, err := Open(path)
		require.NoError(t, err)
		require.NoError(t, w.Close())
		require.EqualValues(t, size, dropped)
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, `{"kind":"a"}`+"\n", string(text))
	}
	writeFile(t, path, string(make([]byte, 5000))) // what a power failure can leave of a first record
	w, dropped, err := Open(path)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	require.EqualValues(t, 5000, dropped)
}

func TestOpenLeavesAForeignFileAlone(t *testing.T) {
	for name, text := range map[string]string{
		"prose":                       "Dear diary, nothing happened",
		"prose with a brace at last":  "Dear diary\n{",
		"a brace with prose at last":  "{}\nDear diary",
		"a safetensors file's begin":  "\x70\x00\x00\x00\x00\x00\x00\x00{\"a\":",
		"a list of records as a JSON": `[{"kind":"step"}]`,
	} {
		t.Run(name, func(t *testing.T) {
			path := metricsPath(t)
			writeFile(t, path, text)
			_, _, err := Open(path)
			require.ErrorContains(t, err, "not a file of JSON lines")
			have, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, text, string(have))
		})
	}
	_, _, err := Open(t.TempDir())
	require.ErrorContains(t, err, "open metrics")
}

func TestConcurrentWritersOfOneLogMixNoLines(t *testing.T) {
	path := metricsPath(t)
	w := mustOpen(t, path)
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for step := range 100 {
				if w.Write(Record{Kind: "k", Step: step, Values: map[string]float64{"i": float64(i)}}) != nil {
					t.Error("write failed")
				}
			}
		})
	}
	group.Wait()
	require.NoError(t, w.Close())
	records, bad, err := Read(path)
	require.NoError(t, err)
	require.Empty(t, bad)
	require.Len(t, records, 800)
	next := map[float64]int{}
	for _, r := range records { // each writer's own records keep their order
		require.Equal(t, next[r.Values["i"]], r.Step)
		next[r.Values["i"]]++
	}
}
