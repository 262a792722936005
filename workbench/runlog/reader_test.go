package runlog

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReadSkipsAndReportsWhatIsNotARecord(t *testing.T) {
	path := metricsPath(t)
	writeFile(t, path, strings.Join([]string{
		`{"kind":"step","step":1}`,
		``,
		`{"kind":"step","st`,
		`{"step":2}`,
		`{"kind":"step","step":1.5}`,
		`{"kind":"step","loss":[1]}`,
		`{"kind":"step","loss":1e999}`,
		`[]`,
		`{"kind":"step","time":"yesterday"}`,
		"\x00\x00\x00",
		`{"kind":"` + strings.Repeat("x", maxLine) + `"}`,
		`{"kind":"step","step":2} {}`,
		"  {\"kind\":\"step\", \"step\":3}\r",
		`{"kind":"step","step":4`,
	}, "\n"))
	records, bad, err := Read(path)
	require.NoError(t, err)
	require.Equal(t, []Record{{Kind: "step", Step: 1}, {Kind: "step", Step: 3}}, records)
	var lines []int
	for _, b := range bad {
		lines = append(lines, b.Line)
	}
	require.Equal(t, []int{3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14}, lines)
	require.Equal(t, path+`:4: not a record: field "kind" is missing`, bad[1].String())
	require.Contains(t, bad[3].Reason, `field "loss" is [1]: want a number or a string`)
	require.Contains(t, bad[10].Reason, "cut off")
	_, _, err = Read(filepath.Join(t.TempDir(), "none"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestAResumeSupersedesTheStepsAfterIt(t *testing.T) {
	type step = Record
	at := func(kind string, steps ...int) (records []Record) {
		for _, s := range steps {
			records = append(records, step{Kind: kind, Step: s})
		}
		return records
	}
	join := func(parts ...[]Record) (all []Record) {
		for _, part := range parts {
			all = append(all, part...)
		}
		return all
	}
	for name, c := range map[string]struct{ in, want []Record }{
		"nothing":   {nil, []Record{}},
		"no resume": {at("step", 1, 2), at("step", 1, 2)},
		"from a step in the middle": {
			join(at("step", 1, 2, 3), at("eval", 3), at("resume", 2), at("step", 3, 4)),
			join(at("step", 1, 2), at("resume", 2), at("step", 3, 4))},
		"twice, the second time further back": {
			join(at("step", 1, 2, 3), at("resume", 2), at("step", 3), at("resume", 1), at("step", 2)),
			join(at("step", 1), at("resume", 1), at("step", 2))},
		"from the beginning": {join(at("step", 1, 2), at("resume", 0), at("step", 1)), join(at("resume", 0), at("step", 1))},
		"from beyond":        {join(at("step", 1), at("resume", 9)), join(at("step", 1), at("resume", 9))},
	} {
		t.Run(name, func(t *testing.T) {
			before := append([]Record(nil), c.in...)
			require.Equal(t, c.want, Resolve(c.in))
			require.Equal(t, before, c.in, "the records given must stay as they are")
		})
	}
}

func FuzzRecord(f *testing.F) {
	f.Add([]byte(`{"kind":"step","step":12,"time":"2026-01-02T15:04:05.6Z","loss":3.2,"x":"NaN","y":"\u004eaN","z":null}`))
	f.Add([]byte(`{"kind":"+Inf","a":"+Inf","a":-0}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		var r, again Record
		if r.UnmarshalJSON(line) != nil {
			return
		}
		text, err := r.MarshalJSON()
		if err != nil { // fields that can be read but not written, such as an empty name
			return
		}
		require.NoError(t, again.UnmarshalJSON(text))
		require.True(t, r.Time.Equal(again.Time))
		require.Equal(t, fmt.Sprint(r.Kind, r.Step, r.Values, r.Text), fmt.Sprint(again.Kind, again.Step, again.Values, again.Text))
		require.NotContains(t, string(text), "\n")
	})
}

func BenchmarkWrite(b *testing.B) {
	w := mustOpen(b, metricsPath(b))
	r := Record{Kind: KindStep, Values: map[string]float64{Loss: 3.2, Tokens: 65536, Seconds: 0.2, "lr": 1e-3, "grad_norm": 0.5}}
	for b.Loop() {
		require.NoError(b, w.Write(r))
	}
	require.NoError(b, w.Close())
}

func BenchmarkRead(b *testing.B) {
	path := metricsPath(b)
	line, err := Record{Kind: KindStep, Step: 1, Time: noon, Values: map[string]float64{Loss: 3.2, Tokens: 65536, Seconds: 0.2, "lr": 1e-3}}.MarshalJSON()
	require.NoError(b, err)
	text := strings.Repeat(string(line)+"\n", 10_000)
	writeFile(b, path, text)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		_, _, err := Read(path)
		require.NoError(b, err)
	}
}
