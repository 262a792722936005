package ref

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const width, inner = 4, 6

var (
	transformerConfig = TransformerConfig{Heads: 4, KVHeads: 2, HeadDim: 2, RopeBase: 100, NormEps: 1e-6, MaskDocuments: true}
	mambaConfig       = MambaConfig{State: 2, Conv: 3, DtRank: 2, NormEps: 1e-6, ResetDocuments: true}
)

// kind is a block in the form that the tests share.
type kind struct {
	name     string
	weights  map[string][]int
	forward  func(t *Tape, in map[string]Array, state []Array, documents, lengths []int32) (Array, []Array)
	separate bool // documents do not see each other
}

func transformerKind(name string, config TransformerConfig) kind {
	return kind{name, map[string][]int{"query": {width, 8}, "key": {width, 4}, "value": {width, 4}, "output": {8, width}, "up": {width, 5}, "down": {5, width}},
		func(t *Tape, in map[string]Array, state []Array, documents, lengths []int32) (Array, []Array) {
			var cache *Cache
			if state != nil {
				cache = &Cache{state[0], state[1]}
			}
			y, next := Transformer(t, config, TransformerWeights{in["query"], in["key"], in["value"], in["output"], in["up"], in["down"]},
				in["x"], cache, documents, lengths)
			return y, []Array{next.Keys, next.Values}
		}, config.MaskDocuments}
}

func mambaKind(name string, config MambaConfig, mlp bool) kind {
	weights := map[string][]int{"in_u": {width, inner}, "in_z": {width, inner}, "taps": {config.Conv, inner}, "tap bias": {inner},
		"x_proj": {inner, 6}, "dt": {2, inner}, "dt bias": {inner}, "a_log": {inner, 2}, "d": {inner}, "out": {inner, width}}
	if mlp {
		weights["up"], weights["down"] = []int{width, 5}, []int{5, width}
	}
	return kind{name, weights,
		func(t *Tape, in map[string]Array, state []Array, documents, lengths []int32) (Array, []Array) {
			var before *MambaState
			if state != nil {
				before = &MambaState{state[0], state[1]}
			}
			y, next := Mamba(t, config, MambaWeights{in["in_u"], in["in_z"], in["taps"], in["tap bias"], in["x_proj"], in["dt"], in["dt bias"],
				in["a_log"], in["d"], in["out"], in["up"], in["down"]}, in["x"], before, documents, lengths)
			return y, []Array{next.Conv, next.SSM}
		}, config.ResetDocuments}
}

func kinds() []kind {
	unmasked, across := transformerConfig, mambaConfig
	unmasked.MaskDocuments, across.ResetDocuments = false, false
	return []kind{
		transformerKind("transformer that masks documents", transformerConfig), transformerKind("transformer", unmasked),
		mambaKind("mamba", mambaConfig, false), mambaKind("mamba with an MLP", mambaConfig, true), mambaKind("mamba across documents", across, false),
	}
}

// variables draws x and the weights. Nothing lies so near zero that a difference would cross ReLU's corner.
func (k kind) variables(batch, time int) map[string]variable {
	v := map[string]variable{"x": {[]int{batch, time, width}, random(rand.New(rand.NewPCG(3, 4)), batch*time*width, 1)}}
	for name, shape := range k.weights {
		size := 1
		for _, dim := range shape {
			size *= dim
		}
		v[name] = variable{shape, random(rand.New(rand.NewPCG(9, uint64(len(name)*100+size))), size, 0.7)}
	}
	return v
}

// run gives the values of one call whose x is tokens from … to-1 of the variables'.
func (k kind) run(v map[string]variable, from, to int, state [][]float64, shapes [][]int, documents, lengths []int32) (y []float64, next [][]float64, nextShapes [][]int) {
	tape := NewTape()
	in := map[string]Array{}
	for name, x := range v {
		in[name] = tape.Array(x.shape, x.values)
	}
	whole := in["x"]
	in["x"] = tape.zeros(whole.shape[0], to-from, width)
	for b := range whole.shape[0] {
		copy(in["x"].at(b), whole.at(b)[from*width:to*width])
	}
	var before []Array
	for i := range state {
		before = append(before, tape.Array(shapes[i], state[i]))
	}
	out, after := k.forward(tape, in, before, documents, lengths)
	for _, tensor := range after {
		next, nextShapes = append(next, tensor.Values()), append(nextShapes, tensor.Shape())
	}
	return out.Values(), next, nextShapes
}

func TestBlocksDifferentiateAsTheirDifferencesDo(t *testing.T) {
	for _, k := range kinds() {
		for name, c := range map[string]struct{ documents, lengths []int32 }{
			"whole rows": {}, "documents": {documents: []int32{0, 0, 1, 1, 0, 1, 2, 2}}, "padded rows": {lengths: []int32{3, 0}},
		} {
			t.Run(k.name+" on "+name, func(t *testing.T) {
				requireGradients(t, k.variables(2, 4), func(tape *Tape, in map[string]Array) []Array {
					y, state := k.forward(tape, in, nil, c.documents, c.lengths)
					return append(state, y)
				})
			})
		}
	}
}

func TestACallMayBeSplitWithinTheFirstDocument(t *testing.T) {
	const time = 6
	for _, k := range kinds() {
		for name, documents := range map[string][]int32{"one document": nil, "two documents": {4, 4, 4, 4, 5, 5}} {
			t.Run(k.name+" on "+name, func(t *testing.T) {
				v := k.variables(1, time)
				want, wantState, _ := k.run(v, 0, time, nil, nil, documents, nil)
				for cut := 1; cut < 4; cut++ {
					var rest []int32
					if documents != nil {
						rest = documents[cut:]
					}
					first, state, shapes := k.run(v, 0, cut, nil, nil, nil, nil)
					second, state, _ := k.run(v, cut, time, state, shapes, rest, nil)
					require.InDeltaSlice(t, want, append(first, second...), 1e-12)
					for i := range state {
						require.InDeltaSlice(t, wantState[i], state[i], 1e-12)
					}
				}
			})
		}
	}
}

func TestADocumentInARowIsAsItWouldBeAlone(t *testing.T) {
	documents := []int32{7, 8, 8, 7, 7, 7, 7}
	pieces := [][2]int{{0, 1}, {1, 3}, {3, 7}}
	for _, k := range kinds() {
		t.Run(k.name, func(t *testing.T) {
			v := k.variables(1, len(documents))
			packed, packedState, _ := k.run(v, 0, len(documents), nil, nil, documents, nil)
			var alone []float64
			var aloneState [][]float64
			for _, piece := range pieces {
				y, state, _ := k.run(v, piece[0], piece[1], nil, nil, nil, nil)
				alone, aloneState = append(alone, y...), state
			}
			if !k.separate {
				unmarked, _, _ := k.run(v, 0, len(documents), nil, nil, nil, nil)
				require.Equal(t, unmarked, packed)
				require.Greater(t, furthest(alone, packed), 1e-3)
				return
			}
			if strings.HasPrefix(k.name, "mamba") { // whose state is the last document's alone; scores know only distances
				for i := range aloneState {
					require.InDeltaSlice(t, aloneState[i], packedState[i], 1e-12)
				}
			}
			require.InDeltaSlice(t, alone, packed, 1e-12)
		})
	}
}

// furthest is the largest difference of two slices.
func furthest(a, b []float64) (worst float64) {
	for i := range a {
		worst = max(worst, math.Abs(a[i]-b[i]))
	}
	return worst
}

func TestThePartOfAPaddedRowIsAsItWouldBeAlone(t *testing.T) {
	const time = 5
	for _, k := range kinds() {
		for length := range time + 1 {
			v := k.variables(1, time)
			want, wantState, _ := k.run(v, 0, length, nil, nil, nil, nil)
			padded, state, shapes := k.run(v, 0, time, nil, nil, nil, []int32{int32(length)})
			require.InDeltaSlice(t, append(want, make([]float64, (time-length)*width)...), padded, 1e-14, k.name)
			for i := range state {
				size := len(wantState[i]) // a cache has room for the padding, and zeros in it
				require.InDeltaSlice(t, wantState[i], state[i][:size], 1e-14, k.name)
				require.Equal(t, make([]float64, len(state[i])-size), state[i][size:], "%s, state of shape %v", k.name, shapes[i])
			}
		}
	}
}

func TestAShortDocumentsWindowHoldsNothingOfTheOneBefore(t *testing.T) {
	k := mambaKind("", MambaConfig{State: 2, Conv: 4, DtRank: 2, NormEps: 1e-6, ResetDocuments: true}, false)
	_, state, _ := k.run(k.variables(1, 5), 0, 5, nil, nil, []int32{0, 0, 0, 0, 1}, nil)
	require.Equal(t, make([]float64, 2*inner), state[0][:2*inner])
	require.NotContains(t, state[0][2*inner:], 0.0)
}
