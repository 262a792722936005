package ref

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// scanVariables draws the inputs of a scan.
func scanVariables(batch, time, inner, states int) map[string]variable {
	source := rand.New(rand.NewPCG(1, 2))
	draw := func(shape ...int) variable {
		size := 1
		for _, dim := range shape {
			size *= dim
		}
		return variable{shape, random(source, size, 1)}
	}
	v := map[string]variable{
		"u": draw(batch, time, inner), "delta": draw(batch, time, inner), "z": draw(batch, time, inner), "A": draw(inner, states),
		"B": draw(batch, time, states), "C": draw(batch, time, states), "D": draw(inner), "bias": draw(inner), "h0": draw(batch, inner, states),
	}
	for i, a := range v["A"].values {
		v["A"].values[i] = -math.Abs(a)
	}
	return v
}

func scanOf(in map[string]Array, documents, lengths []int32) ScanInputs {
	return ScanInputs{U: in["u"], Delta: in["delta"], Z: in["z"], A: in["A"], B: in["B"], C: in["C"], D: in["D"], Bias: in["bias"],
		H0: in["h0"], Documents: documents, Lengths: lengths}
}

func TestScanDifferentiatesAsItsDifferencesDo(t *testing.T) {
	for name, c := range map[string]struct{ documents, lengths []int32 }{
		"whole rows":  {},
		"documents":   {documents: []int32{0, 0, 1, 2, 0, 1, 1, 1}},
		"padded rows": {lengths: []int32{4, 2}},
	} {
		t.Run(name, func(t *testing.T) {
			requireGradients(t, scanVariables(2, 4, 2, 3), func(tape *Tape, in map[string]Array) []Array {
				y, h := Scan(tape, scanOf(in, c.documents, c.lengths))
				return []Array{y, h}
			})
		})
	}
}

// single is a scan of one channel with one state; B = C = 1, and z = 40, whose gate is 40 to the last digit.
func single(tape *Tape, u, delta []float64, a, h0 float64, documents []int32) (map[string]Array, ScanInputs) {
	n := len(u)
	token, one := []int{1, n, 1}, func(value float64) []float64 { return slices.Repeat([]float64{value}, n) }
	in := map[string]Array{
		"u": tape.Array(token, u), "delta": tape.Array(token, delta), "z": tape.Array(token, one(40)),
		"A": tape.Array([]int{1, 1}, []float64{a}), "B": tape.Array(token, one(1)), "C": tape.Array(token, one(1)),
		"D": tape.Array([]int{1}, []float64{0}), "bias": tape.Array([]int{1}, []float64{0}), "h0": tape.Array([]int{1, 1, 1}, []float64{h0}),
	}
	return in, scanOf(in, documents, nil)
}

func TestScanByHand(t *testing.T) {
	ln2 := math.Ln2 // Δ = softplus(0) = ln 2, so with A = -1 each step halves the state and adds u·ln 2
	for name, c := range map[string]struct {
		u         []float64
		documents []int32
		want      []float64
		last      float64
	}{
		"one token":       {u: []float64{1}, want: []float64{1 + ln2}, last: 1 + ln2},
		"three tokens":    {u: []float64{1, 0, 2}, want: []float64{1 + ln2, (1 + ln2) / 2, (1+ln2)/4 + 2*ln2}, last: (1+ln2)/4 + 2*ln2},
		"a new document":  {u: []float64{1, 0, 2}, documents: []int32{5, 5, 6}, want: []float64{1 + ln2, (1 + ln2) / 2, 2 * ln2}, last: 2 * ln2},
		"a document each": {u: []float64{1, 3, 2}, documents: []int32{0, 1, 0}, want: []float64{1 + ln2, 3 * ln2, 2 * ln2}, last: 2 * ln2},
	} {
		t.Run(name, func(t *testing.T) {
			tape := NewTape()
			_, in := single(tape, c.u, make([]float64, len(c.u)), -1, 2, c.documents)
			y, h := Scan(tape, in)
			for i := range c.want {
				require.InDelta(t, 40*c.want[i], y.Values()[i], 1e-13)
			}
			require.InDelta(t, c.last, h.Values()[0], 1e-14)
		})
	}
}

func TestScanIsExactAtExtremes(t *testing.T) {
	t.Run("a decay that underflows leaves only the last token", func(t *testing.T) {
		tape := NewTape()
		in, scan := single(tape, []float64{1, 3}, []float64{1000, 1000}, -1, 2, nil)
		y, h := Scan(tape, scan)
		require.Equal(t, []float64{3000}, h.Values())
		tape.Gradient(y, []float64{0, 1})
		require.Equal(t, []float64{0, 40 * 1000}, tape.Grad(in["u"]))
		require.Equal(t, []float64{0, 40 * 3}, tape.Grad(in["delta"]))
		require.Equal(t, []float64{0}, tape.Grad(in["A"]))
		require.Equal(t, []float64{0}, tape.Grad(in["h0"]))
	})
	t.Run("a step of zero keeps the state", func(t *testing.T) {
		tape := NewTape()
		in, scan := single(tape, []float64{1, 3}, []float64{-1000, -1000}, -1, 2, nil)
		y, h := Scan(tape, scan)
		require.Equal(t, []float64{2}, h.Values())
		tape.Gradient(y, []float64{0, 1})
		require.Equal(t, []float64{0, 0}, tape.Grad(in["u"]))
		require.Equal(t, []float64{40}, tape.Grad(in["h0"]))
	})
	t.Run("softplus is linear from 20 on", func(t *testing.T) {
		tape := NewTape()
		_, scan := single(tape, []float64{1}, []float64{30}, -1, 0, nil)
		_, h := Scan(tape, scan)
		require.InDelta(t, 30, h.Values()[0], 1e-12)
	})
}

func TestScanReadsNothingOfAnotherRowOrOfPadding(t *testing.T) {
	variables := scanVariables(2, 4, 2, 3)
	run := func(v map[string]variable) (y, h []float64) {
		tape := NewTape()
		in := map[string]Array{}
		for name, x := range v {
			in[name] = tape.Array(x.shape, x.values)
		}
		yBTI, hBIN := Scan(tape, scanOf(in, nil, []int32{2, 4}))
		return yBTI.Values(), hBIN.Values()
	}
	y, h := run(variables)
	require.Equal(t, make([]float64, 4), y[4:8], "outputs at padding")
	for _, name := range []string{"u", "delta", "z", "B", "C"} {
		values := variables[name].values
		row := len(values) / 2
		for i := row / 2; i < row; i++ { // the padding of row 0
			values[i] = math.NaN()
		}
	}
	spoiltY, spoiltH := run(variables)
	require.Equal(t, y, spoiltY)
	require.Equal(t, h, spoiltH)
}
