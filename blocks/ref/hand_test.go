package ref

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// identity is the n×n unit matrix times factor.
func identity(t *Tape, n int, factor float64) Array {
	values := make([]float64, n*n)
	for i := range n {
		values[i*n+i] = factor
	}
	return t.Array([]int{n, n}, values)
}

func TestTransformerByHand(t *testing.T) {
	config := TransformerConfig{Heads: 1, KVHeads: 1, HeadDim: 2, RopeBase: 10000}
	tape := NewTape()
	w := TransformerWeights{Query: identity(tape, 2, 1), Key: identity(tape, 2, 1), Value: identity(tape, 2, 1), Output: identity(tape, 2, 10),
		Up: identity(tape, 2, 1), Down: identity(tape, 2, 0)}
	// Both tokens have unit mean square. The second's query and key lie at angle 0 before rotation, at -1 rad after it;
	// the first's key at 90° before and after. Keys and queries have length √2, and √E = √2.
	x := tape.Array([]int{1, 2, 2}, []float64{0, math.Sqrt2, math.Sqrt2, 0})
	y, cache := Transformer(tape, config, w, x, nil, nil, nil)
	toFirst, toSelf := 2*math.Cos(math.Pi/2+1)/math.Sqrt2, 2/math.Sqrt2
	first := math.Exp(toFirst) / (math.Exp(toFirst) + math.Exp(toSelf))
	require.InDeltaSlice(t, []float64{0, 11 * math.Sqrt2, math.Sqrt2 + 10*math.Sqrt2*(1-first), 10 * math.Sqrt2 * first}, y.Values(), 1e-14)
	require.InDeltaSlice(t, []float64{0, math.Sqrt2, math.Sqrt2 * math.Cos(1), -math.Sqrt2 * math.Sin(1)}, cache.Keys.Values(), 1e-15)
	require.Equal(t, x.Values(), cache.Values.Values())
}

func TestScoresKnowOnlyTheDistanceOfTwoTokens(t *testing.T) {
	tape := NewTape()
	q, k := tape.Array([]int{4}, []float64{1, -2, 0.5, 3}).entries, tape.Array([]int{4}, []float64{0.3, 1, -1, 2}).entries
	score := func(queryAt, keyAt int) float64 {
		return tape.value(tape.dot(tape.rotate(q, queryAt, 100), tape.rotate(k, keyAt, 100)))
	}
	require.InDelta(t, score(3, 0), score(1003, 1000), 1e-11)
	require.NotEqual(t, score(3, 0), score(0, 3))
}

func TestGroupedQueriesReadTheirOwnGroup(t *testing.T) {
	config := TransformerConfig{Heads: 4, KVHeads: 2, HeadDim: 2}
	tape := NewTape()
	cache := Cache{tape.zeros(1, 1, 2, 2), tape.Array([]int{1, 1, 2, 2}, []float64{1, 2, 3, 4})}
	y := tape.zeros(8)
	copy(y.entries, tape.attend(config, y.entries, cache, 0, 0, 0))
	require.Equal(t, []float64{1, 2, 1, 2, 3, 4, 3, 4}, y.Values())
}

func TestTheMLPSquaresWhatIsPositive(t *testing.T) {
	tape := NewTape()
	x := tape.Array([]int{2}, []float64{3, -3}) // norms to 1 and -1
	y := tape.zeros(2)
	copy(y.entries, tape.mlp(x.entries, identity(tape, 2, 5), identity(tape, 2, 2), 0))
	require.Equal(t, []float64{3 + 2*25, -3}, y.Values())
}

func TestMambaByHand(t *testing.T) {
	// Width, inner and states of one: norm x is ±1. One tap reaches back a token with weight 2, the own tap weighs 1.
	tape := NewTape()
	number := func(value float64, shape ...int) Array { return tape.Array(shape, []float64{value}) }
	w := MambaWeights{
		InU: number(1, 1, 1), InZ: number(3, 1, 1), ConvWeight: tape.Array([]int{2, 1}, []float64{2, 1}), ConvBias: number(0.5, 1),
		XProj: tape.Array([]int{1, 3}, []float64{4, 5, 6}), DtProj: number(0, 1, 1), DtBias: number(0, 1), // Δ = ln 2
		ALog: number(0, 1, 1), D: number(7, 1), Out: number(8, 1, 1), // A = -1: halves
	}
	config := MambaConfig{State: 1, Conv: 2, DtRank: 1, ResetDocuments: true}
	silu := func(x float64) float64 { return x / (1 + math.Exp(-x)) }
	x := []float64{2, -2, 2}
	run := func(documents []int32) (y, window, h []float64) {
		out, state := Mamba(tape, config, w, tape.Array([]int{1, 3, 1}, x), nil, documents, nil)
		return out.Values(), state.Conv.Values(), state.SSM.Values()
	}
	token := func(x, u, h float64) float64 { return x + 8*(6*u*h+7*u)*silu(3*x/2) }

	u := []float64{silu(1.5), silu(-1 + 2 + 0.5), silu(1 - 2 + 0.5)}
	var h, want []float64
	for i, before := 0, 0.0; i < 3; i++ {
		before = before/2 + math.Ln2*5*u[i]*u[i]
		h, want = append(h, before), append(want, token(x[i], u[i], before))
	}
	y, window, last := run(nil)
	require.InDeltaSlice(t, want, y, 1e-13)
	require.Equal(t, []float64{1}, window)
	require.InDeltaSlice(t, h[2:], last, 1e-14)

	alone := silu(1.5)
	y, _, last = run([]int32{0, 0, 1})
	require.InDelta(t, token(2, alone, math.Ln2*5*alone*alone), y[2], 1e-13)
	require.InDelta(t, math.Ln2*5*alone*alone, last[0], 1e-14)
}
