package ref

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// derivativeTolerance bounds what a central difference of step 1e-5 leaves of a gradient near one: the square of the
// step from the cubic term, and float64's rounding over the step.
const derivativeTolerance = 1e-8

// random draws n values of a normal distribution.
func random(source *rand.Rand, n int, deviation float64) []float64 {
	values := make([]float64, n)
	for i := range values {
		values[i] = deviation * source.NormFloat64()
	}
	return values
}

// variable is one input of a function under differentiation.
type variable struct {
	shape  []int
	values []float64
}

// requireGradients compares the gradient of a seeded sum of outputs with central differences, in every element of every
// variable.
func requireGradients(t testing.TB, variables map[string]variable, build func(t *Tape, in map[string]Array) []Array) {
	t.Helper()
	place := func(tape *Tape) map[string]Array {
		in := map[string]Array{}
		for name, v := range variables {
			in[name] = tape.Array(v.shape, v.values)
		}
		return in
	}
	tape := NewTape()
	in := place(tape)
	outs := build(tape, in)
	source := rand.New(rand.NewPCG(5, 55))
	var seeds [][]float64
	for _, out := range outs {
		seeds = append(seeds, random(source, len(out.entries), 1))
	}
	loss := func() (sum float64) {
		tape := NewTape()
		for i, out := range build(tape, place(tape)) {
			for j, value := range out.Values() {
				sum += value * seeds[i][j]
			}
		}
		return sum
	}
	tape.Backward(outs, seeds)
	const step = 1e-5
	for name, v := range variables {
		gradient, largest := tape.Grad(in[name]), 1.0
		for _, g := range gradient {
			largest = max(largest, math.Abs(g))
		}
		for i, value := range v.values {
			v.values[i] = value + step
			above := loss()
			v.values[i] = value - step
			below := loss()
			v.values[i] = value
			require.InDeltaf(t, (above-below)/(2*step), gradient[i], derivativeTolerance*largest, "%s, element %d", name, i)
		}
	}
}

func TestEveryPrimitiveDifferentiatesAsItsDifferencesDo(t *testing.T) {
	for name, primitive := range map[string]func(t *Tape, a, b scalar) scalar{
		"add":       func(t *Tape, a, b scalar) scalar { return t.add(a, b) },
		"negate":    func(t *Tape, a, _ scalar) scalar { return t.negate(a) },
		"scale":     func(t *Tape, a, _ scalar) scalar { return t.scale(a, -2.5) },
		"shift":     func(t *Tape, a, _ scalar) scalar { return t.shift(a, 3) },
		"multiply":  func(t *Tape, a, b scalar) scalar { return t.multiply(a, b) },
		"square":    func(t *Tape, a, _ scalar) scalar { return t.multiply(a, a) },
		"divide":    func(t *Tape, a, b scalar) scalar { return t.divide(a, b) },
		"exp":       func(t *Tape, a, _ scalar) scalar { return t.exp(a) },
		"log1p":     func(t *Tape, _, b scalar) scalar { return t.log1p(b) },
		"sqrt":      func(t *Tape, _, b scalar) scalar { return t.sqrt(b) },
		"sum":       func(t *Tape, a, b scalar) scalar { return t.sum([]scalar{a, b, a}) },
		"dot":       func(t *Tape, a, b scalar) scalar { return t.dot([]scalar{a, b, a}, []scalar{b, b, a}) },
		"weighted":  func(t *Tape, a, b scalar) scalar { return t.weighted([]scalar{a, b}, []float64{2, -3}) },
		"softplus":  func(t *Tape, a, _ scalar) scalar { return t.softplus(a) },
		"silu":      func(t *Tape, a, _ scalar) scalar { return t.silu(a) },
		"softmax":   func(t *Tape, a, b scalar) scalar { return t.softmax([]scalar{a, b, t.scale(a, 2)})[1] },
		"norm":      func(t *Tape, a, b scalar) scalar { return t.norm([]scalar{a, b}, 0.1)[0] },
		"rotate":    func(t *Tape, a, b scalar) scalar { return t.rotate([]scalar{a, b}, 3, 100)[1] },
		"composite": func(t *Tape, a, b scalar) scalar { return t.exp(t.multiply(t.silu(a), t.divide(a, b))) },
	} {
		t.Run(name, func(t *testing.T) {
			requireGradients(t, map[string]variable{
				"a": {[]int{4}, []float64{0.7, -1.2, 0.3, -0.1}},
				"b": {[]int{4}, []float64{1.1, 0.4, 2.5, 0.8}}, // positive: roots and logarithms
			}, func(tape *Tape, in map[string]Array) []Array {
				y := tape.zeros(4)
				for i := range y.entries {
					y.entries[i] = primitive(tape, in["a"].entries[i], in["b"].entries[i])
				}
				return []Array{y}
			})
		})
	}
}

func TestASharedOperandGathersTheGradientOfEveryUse(t *testing.T) {
	tape := NewTape()
	x := tape.Array([]int{1}, []float64{3})
	y := tape.zeros(2)
	y.entries[0] = tape.multiply(x.entries[0], x.entries[0])     // x²
	y.entries[1] = tape.multiply(x.entries[0], y.entries[0])     // x³
	tape.Backward([]Array{y, x}, [][]float64{{10, 100}, {1000}}) // 10x² + 100x³ + 1000x
	require.Equal(t, []float64{60 + 2700 + 1000}, tape.Grad(x))  // 20x + 300x² + 1000
	tape.Gradient(y, []float64{0, 1})                            // replaces, does not add
	require.Equal(t, []float64{27}, tape.Grad(x))                // 3x²
	require.Equal(t, []float64{9, 27}, y.Values())
	require.PanicsWithError(t, "read a gradient: none was computed since the tape last grew; call Gradient or Backward first", func() {
		tape.Grad(tape.Array([]int{1}, []float64{0}))
	})
}

func TestPartsAreFiniteAndExactFarOut(t *testing.T) {
	for _, c := range []struct{ x, softplus, softplusSlope, silu, siluSlope float64 }{
		{-1000, 0, 0, 0, 0},
		{-50, math.Exp(-50), math.Exp(-50), -50 * math.Exp(-50), -49 * math.Exp(-50)},
		{0, math.Ln2, 0.5, 0, 0.5},
		{20, 20 + math.Log1p(math.Exp(-20)), 1 - math.Exp(-20), 20 - 20*math.Exp(-20), 1 + 19*math.Exp(-20)},
		{1000, 1000, 1, 1000, 1},
	} {
		tape := NewTape()
		x := tape.Array([]int{1}, []float64{c.x})
		y := tape.zeros(2)
		y.entries[0], y.entries[1] = tape.softplus(x.entries[0]), tape.silu(x.entries[0])
		tape.Gradient(y, []float64{1, 0})
		softplusSlope := tape.Grad(x)[0]
		tape.Gradient(y, []float64{0, 1})
		for _, pair := range [][2]float64{
			{c.softplus, y.Values()[0]}, {c.softplusSlope, softplusSlope}, {c.silu, y.Values()[1]}, {c.siluSlope, tape.Grad(x)[0]},
		} {
			require.InDelta(t, pair[0], pair[1], 1e-14*math.Abs(pair[0]), "at %g: %+v", c.x, c)
		}
	}
}

func TestArgumentsOfAWrongShapeAreRefused(t *testing.T) {
	tape := NewTape()
	require.PanicsWithError(t, "array of shape [2 3]: 5 values; it holds 6", func() { tape.Array([]int{2, 3}, make([]float64, 5)) })
	one := func(shape ...int) Array { return tape.zeros(shape...) }
	in := ScanInputs{U: one(1, 2, 3), Delta: one(1, 2, 3), Z: one(1, 2, 3), A: one(3, 4), B: one(1, 2, 4), C: one(1, 2, 4), D: one(3), Bias: one(3)}
	Scan(tape, in)
	for want, wrong := range map[string]func(in *ScanInputs){
		"B has shape [1 2 3]: it must have [1 2 4]":                         func(in *ScanInputs) { in.B = one(1, 2, 3) },
		"h₀ has shape [1 4 3]: it must have [1 3 4]":                        func(in *ScanInputs) { in.H0 = one(1, 4, 3) },
		"documents: 1 numbers for 1 rows of 2 tokens; each token needs one": func(in *ScanInputs) { in.Documents = []int32{0} },
		"lengths: 2 for 1 rows; each row needs one":                         func(in *ScanInputs) { in.Lengths = []int32{1, 1} },
		"length 3 of row 0: must lie between 0 and the 2 tokens there are":  func(in *ScanInputs) { in.Lengths = []int32{3} },
	} {
		spoilt := in
		wrong(&spoilt)
		require.PanicsWithError(t, want, func() { Scan(tape, spoilt) })
	}
}
