package plot

import (
	"bytes"
	"encoding/xml"
	"errors"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/plot/vg"
)

// pictures is one of each kind, with the values that a training can bring.
func pictures() map[string]Picture {
	falling := Line{Name: "T2 & <M>", X: []float64{1, 2, 3}, Y: []float64{7, math.NaN(), 3}}
	stack := Stack{Title: "a stack"}
	for range 30 {
		stack.Layers = append(stack.Layers, Layer{Label: "T", Kind: "transformer"}, Layer{Label: "M", Kind: "mamba", Color: 1})
	}
	heat := Heat{Title: "state", X: "token", Y: "channel", Values: [][]float64{{-1, 2, math.Inf(1)}, {0, math.NaN(), 1}}}
	weights := [][]float64{{1}, {0.25, 0.75}, {0, math.NaN(), 1}}
	many := Attention{Title: "head 2"}
	for i := range 70 {
		many.Tokens, many.Weights = append(many.Tokens, "token"), append(many.Weights, make([]float64, i+1))
	}
	many.Weights[60][3] = 0.5
	curves := Curves{Title: "loss", X: "step", Y: "nats", Lines: []Line{falling, {Name: "one", X: []float64{1}, Y: []float64{2}}, {Name: "none"}}}
	return map[string]Picture{
		"curves": curves, "curves without a line": Curves{Title: "loss"}, "heat": heat, "heat of one value": Heat{Values: [][]float64{{3}}},
		"attention":                            Attention{Title: "head 0", Tokens: []string{"<a>", "·b", "c & d"}, Weights: weights},
		"attention without labels":             Attention{Title: "head 1", Weights: weights},
		"attention of more tokens than labels": many, "stack": stack, "row": Row{curves, heat, stack}, "row of two lines": Row{curves, heat, curves, stack, many},
	}
}

func TestEveryPictureIsWellFormedSVGAndAPNG(t *testing.T) {
	for name, picture := range pictures() {
		t.Run(name, func(t *testing.T) {
			svg, err := SVG(picture)
			require.NoError(t, err)
			require.True(t, strings.HasPrefix(svg, "<svg"))
			decoder := xml.NewDecoder(strings.NewReader(svg))
			for err == nil {
				_, err = decoder.Token()
			}
			require.ErrorIs(t, err, io.EOF)
			require.NotContains(t, svg, "font-family:Liberation Sans;", "a reader without that font needs another")
			data, err := PNG(picture)
			require.NoError(t, err)
			decoded, err := png.Decode(bytes.NewReader(data))
			require.NoError(t, err)
			require.Greater(t, decoded.Bounds().Dx(), 400)
		})
	}
}

func TestAPictureSaysInWordsWhatItShows(t *testing.T) {
	all := pictures()
	require.Equal(t, "loss (nats against step)\n  T2 & <M>: 7 at 1 to 3 at 3\n  one: 2 at 1 to 2 at 1\n  none: no point yet", all["curves"].String())
	require.Equal(t, "loss (nats against step)\n  2 at 1 to 2 at 1", Curves{Title: "loss", X: "step", Y: "nats", Lines: []Line{{X: []float64{1}, Y: []float64{2}}}}.String())
	require.Equal(t, "state (2 channel × 3 token): -1 to 2", all["heat"].String())
	require.Contains(t, all["stack"].String(), "a stack: T → M → T")
	require.Equal(t, "head 0 (·░▒▓█ from 0 to 1)\n  <a> █\n   ·b ▒▓\nc & d · █", all["attention"].String())
	require.Equal(t, "head 1 (3 tokens): the most that one gives an earlier one is 0.25, by 1 to 0", all["attention without labels"].String())
	require.Equal(t, "head 2 (70 tokens): the most that one gives an earlier one is 0.50, by 60 to 3", all["attention of more tokens than labels"].String())
	require.Equal(t, 2, strings.Count(Row{all["heat"], all["heat"]}.String(), "state"))
}

func TestPicturesThatCannotBeDrawnAreErrors(t *testing.T) {
	for want, picture := range map[string]Picture{
		"there are no values":                            Heat{Title: "x"},
		"row 1 has 1 values, row 0 has":                  Heat{Values: [][]float64{{1, 2}, {1}}},
		"it has no layers":                               Stack{},
		"it has none":                                    Row{},
		"there are no weights":                           Attention{},
		"token 1 has 1 weights; it may look at 2 tokens": Attention{Weights: [][]float64{{1}, {1}}},
		"there are 1 tokens and weights of 2":            Attention{Tokens: []string{"a"}, Weights: [][]float64{{1}, {0, 1}}},
	} {
		_, err := SVG(picture)
		require.ErrorContains(t, err, want)
		_, err = PNG(picture)
		require.ErrorContains(t, err, want)
	}
}

func TestSaveWritesWhatTheExtensionSays(t *testing.T) {
	folder := t.TempDir()
	for extension, start := range map[string]string{".svg": "<?xml", ".PNG": "\x89PNG"} {
		path := filepath.Join(folder, "out"+extension)
		require.NoError(t, Save(path, pictures()["curves"]))
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		require.True(t, strings.HasPrefix(string(data), start))
	}
	require.EqualError(t, Save(filepath.Join(folder, "out.gif"), pictures()["curves"]),
		`save picture "`+filepath.Join(folder, "out.gif")+`": unknown kind of file; the name must end in one of .svg, .png`)
	err := Save(filepath.Join(folder, "missing", "out.svg"), pictures()["curves"])
	require.True(t, errors.Is(err, os.ErrNotExist), err)
}

func TestALongNameIsShortenedInTheLegendToWhatFits(t *testing.T) {
	long := "a-run-with-a-long-name-" + strings.Repeat("é", 60) + "-seed-1: T12 M8"
	svg, err := SVG(Curves{Lines: []Line{{Name: long, X: []float64{1, 2}, Y: []float64{2, 1}}, {Name: "T2", X: []float64{1, 2}, Y: []float64{2, 1}}}})
	require.NoError(t, err)
	require.NotContains(t, svg, long)
	found := regexp.MustCompile(`>(a-run-with[^<]*…[^<]*-seed-1: T12 M8)<`).FindStringSubmatch(svg)
	require.Len(t, found, 2, "both ends tell runs apart")
	require.LessOrEqual(t, utf8.RuneCountInString(found[1]), 40)
	require.Contains(t, svg, ">T2<")
}

func TestALongLineIsThinnedToItsEnds(t *testing.T) {
	line := Line{X: make([]float64, 100_000), Y: make([]float64, 100_000)}
	for i := range line.X {
		line.X[i] = float64(i)
	}
	points := line.finite()
	require.Len(t, points, maxPoints)
	require.Equal(t, 0.0, points[0].X)
	require.Equal(t, 99_999.0, points[maxPoints-1].X)
}

// A live plot redraws two charts; what that takes decides how often it can.
func BenchmarkSVGOfTwoCurves(b *testing.B) {
	line := Line{Name: "loss", X: make([]float64, 5000), Y: make([]float64, 5000)}
	for i := range line.X {
		line.X[i], line.Y[i] = float64(i), 7/math.Sqrt(float64(i+1))
	}
	row := Row{Curves{Lines: []Line{line}}, Curves{Lines: []Line{line}}}
	for b.Loop() {
		if _, err := SVG(row); err != nil {
			b.Fatal(err)
		}
	}
}

func TestARowGoesOnBelowWhereItsLineIsFull(t *testing.T) {
	curve := Curves{}
	width, height := curve.size()
	rowWidth, rowHeight := Row{curve, curve, curve, curve}.size()
	require.Equal(t, 3*width, rowWidth)
	require.Equal(t, 2*height, rowHeight)
	require.Equal(t, height, Row{curve, curve, curve}.places()[2].Y+height, "three fit")
}

func TestADarkPageShowsAnSVGOnWhite(t *testing.T) {
	svg, err := SVG(pictures()["stack"])
	require.NoError(t, err)
	require.Regexp(t, `^<svg[^>]*>\s*<g[^>]*>\s*<path d="M0,0L[^"]*Z" style="fill:#FFFFFF`, svg)
}

func TestTicksAreRoundNumbers(t *testing.T) {
	for want, ends := range map[string][2]float64{
		"0 200 400 600 800 1000 1200": {0, 1352}, "5M 10M 15M 20M": {2.6e5, 2.2e7}, "2 4 6 8": {1.5, 9.7}, "0.2 0.4 0.6 0.8 1": {0.008, 1},
		"10k 20k 30k 40k 50k": {9_000, 52_000}, "-0.02 -0.015 -0.01 -0.005 0 0.005 0.01 0.015 0.02": {-0.02, 0.02},
	} {
		var labels []string
		for _, tick := range (ticks{}).Ticks(ends[0], ends[1]) {
			labels = append(labels, tick.Label)
		}
		require.Equal(t, want, strings.Join(labels, " "))
	}
	require.NotEmpty(t, ticks{}.Ticks(3, 3))
}

func TestADoublingAxisNamesItsLengths(t *testing.T) {
	svg, err := SVG(Curves{Doubling: true, Lines: []Line{{Name: "T4", X: []float64{64, 128, 16384}, Y: []float64{1, 1, 0.5}}}})
	require.NoError(t, err)
	for _, length := range []string{">64<", ">128<", ">256<", ">16384<"} {
		require.Contains(t, svg, length)
	}
	_, err = SVG(Curves{Doubling: true})
	require.NoError(t, err)
}

func TestASteepStartDoesNotFlattenTheRest(t *testing.T) {
	loss := Line{X: []float64{0, 1, 50, 100}, Y: []float64{9, 7, 3, 2}}
	for settling, want := range map[bool]bool{false: true, true: false} {
		svg, err := SVG(Curves{Settling: settling, Lines: []Line{loss}})
		require.NoError(t, err)
		require.Equal(t, want, strings.Contains(svg, ">8<"), "a tick above what is left")
		require.Contains(t, svg, ">3<")
	}
	for name, lines := range map[string][]Line{"no line": nil, "one point": {{X: []float64{1}, Y: []float64{2}}}, "level": {{X: []float64{1, 2}, Y: []float64{3, 3}}}} {
		_, err := SVG(Curves{Settling: true, Lines: lines})
		require.NoError(t, err, name)
	}
}

func TestTheLegendTakesAsManyRowsAsItsNamesNeed(t *testing.T) {
	line := func(name string) Line { return Line{Name: name, X: []float64{1, 2}, Y: []float64{2, 1}} }
	const width = 300
	require.Zero(t, Curves{Lines: []Line{line("")}}.legend(width).rows, "one line without a name needs none")
	require.Equal(t, 1, Curves{Lines: []Line{line("T12"), line("M12"), {Name: "no point"}}}.legend(width).rows)
	long := Curves{Lines: []Line{line(strings.Repeat("a", 30)), line(strings.Repeat("b", 30)), line("c")}}
	require.Equal(t, 2, long.legend(width).rows)
	for _, entry := range long.legend(width).entries {
		require.Less(t, entry.x, vg.Length(width))
	}
}
