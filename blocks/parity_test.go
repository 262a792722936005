package blocks_test

import (
	"math/rand/v2"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/stretchr/testify/require"

	"tandem/blocks"
	"tandem/blocks/ref"
	"tandem/tests/testkit"
)

// reference runs a block in float64 on a tape: output, state, and the gradient of Σ y·seed (+ Σ state·seed for a mamba)
// for x and every weight by its declared name.
type reference struct {
	y         []float64
	state     [][]float64
	dx        []float64
	gradients map[string][]float64
}

func (f *fixture) reference(config blocks.Config, c call, seed []float64) reference {
	t := ref.NewTape()
	weights := map[string]ref.Array{}
	for i, weight := range f.block.Weights() {
		weights[weight.Name] = t.Array(weight.Shape, f.weights[i])
	}
	x := t.Array([]int{c.batch, c.time, width}, c.x)
	var y ref.Array
	var state []ref.Array
	switch o := config.(type) {
	case *blocks.Transformer:
		y, state = f.referenceTransformer(t, o, weights, x, c)
	case *blocks.Mamba:
		y, state = f.referenceMamba(t, o, weights, x, c)
	}
	t.Gradient(y, seed)
	r := reference{y: y.Values(), dx: t.Grad(x), gradients: map[string][]float64{}}
	for name, weight := range weights {
		r.gradients[name] = t.Grad(weight)
	}
	for _, tensor := range state {
		r.state = append(r.state, tensor.Values())
	}
	return r
}

func derived[T any](config blocks.Config, key string) T {
	for _, d := range config.Derived(width) {
		if d.Key == key {
			return d.Value.(T)
		}
	}
	panic("no derived value " + key)
}

func (f *fixture) referenceTransformer(t *ref.Tape, o *blocks.Transformer, w map[string]ref.Array, x ref.Array, c call) (ref.Array, []ref.Array) {
	y, kv := ref.Transformer(t, ref.TransformerConfig{
		Heads: derived[int](o, "transformer.heads"), KVHeads: derived[int](o, "transformer.kv_heads"),
		HeadDim: derived[int](o, "transformer.head_dim"), RopeBase: derived[float64](o, "transformer.rope_base"),
		NormEps: blocks.NormEpsilon, MaskDocuments: o.MaskDocuments,
	}, ref.TransformerWeights{
		Query: w["attention.query"], Key: w["attention.key"], Value: w["attention.value"], Output: w["attention.output"],
		Up: w["mlp.up"], Down: w["mlp.down"],
	}, x, nil, c.documents, c.lengths)
	return y, []ref.Array{kv.Keys, kv.Values}
}

func (f *fixture) referenceMamba(t *ref.Tape, o *blocks.Mamba, w map[string]ref.Array, x ref.Array, c call) (ref.Array, []ref.Array) {
	y, state := ref.Mamba(t, ref.MambaConfig{
		State: derived[int](o, "mamba.state"), Conv: derived[int](o, "mamba.conv"), DtRank: derived[int](o, "mamba.dt_rank"),
		NormEps: blocks.NormEpsilon, ResetDocuments: !o.AcrossDocuments,
	}, ref.MambaWeights{
		InU: w["mamba.in_u"], InZ: w["mamba.in_z"], ConvWeight: w["mamba.conv.weight"], ConvBias: w["mamba.conv.bias"],
		XProj: w["mamba.x"], DtProj: w["mamba.dt"], DtBias: w["mamba.dt_bias"], ALog: w["mamba.a_log"], D: w["mamba.d"],
		Out: w["mamba.out"], Up: w["mlp.up"], Down: w["mlp.down"],
	}, x, nil, c.documents, c.lengths)
	return y, []ref.Array{state.Conv, state.SSM}
}

// gradients runs the block under test: output, the state's values where asked, and the gradients of Σ y·seed.
func (f *fixture) gradients(t testing.TB, c call, seed []float64) (y, dx []float64, byName map[string][]float64) {
	t.Helper()
	list, arguments := f.inputs(c)
	list = append(list, testkit.Float(seed, c.batch, c.time, width))
	outputs := testkit.Run(t, f.device, list, func(nodes []*Node) []*Node {
		ctx, params, x, _ := arguments(nodes)
		y, _ := f.block.Forward(ctx, params, x, nil)
		loss := ReduceAllSum(Mul(y, nodes[len(nodes)-1]))
		wanted := []*Node{x}
		for _, weight := range f.block.Weights() {
			wanted = append(wanted, params[weight.Name])
		}
		return append([]*Node{y}, Gradient(loss, wanted...)...)
	})
	byName = map[string][]float64{}
	for i, weight := range f.block.Weights() {
		byName[weight.Name] = outputs[2+i]
	}
	return outputs[0], outputs[1], byName
}

func TestBlocksAgreeWithTheirFloat64ReferencesInOutputsAndEveryGradient(t *testing.T) {
	device := testkit.Device(t)
	documents := func(time int) []int32 {
		ids := make([]int32, 2*time)
		for i := range ids {
			ids[i] = int32((i % time) / 3)
		}
		return ids
	}
	for _, c := range cases {
		for name, use := range map[string]call{
			"one token":              {batch: 1, time: 1},
			"several rows":           {batch: 2, time: 7},
			"documents":              {batch: 2, time: 7, documents: documents(7)},
			"over a chunk's edge":    {batch: 1, time: 37},
			"exactly one chunk":      {batch: 1, time: 32},
			"documents over an edge": {batch: 2, time: 35, documents: documents(35)},
		} {
			t.Run(c.name+" on "+name, func(t *testing.T) {
				f := newFixture(t, device, c.config)
				random := rand.New(rand.NewPCG(21, 22))
				use.x = testkit.Random(random, use.batch*use.time*width, 1)
				seed := testkit.Random(random, len(use.x), 1)
				want := f.reference(c.config, use, seed)
				y, dx, gradients := f.gradients(t, use, seed)
				testkit.Close(t, "output", want.y, y, tolerance.Forward)
				testkit.Close(t, "gradient of x", want.dx, dx, tolerance.Gradient)
				require.Len(t, gradients, len(want.gradients))
				for name, gradient := range gradients {
					testkit.Close(t, "gradient of "+name, want.gradients[name], gradient, tolerance.Gradient)
				}
			})
		}
	}
}

func TestEconomizingChangesNoGradient(t *testing.T) {
	device := testkit.Device(t)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t, device, c.config)
			random := rand.New(rand.NewPCG(51, 52))
			use := call{batch: 2, time: 7, documents: []int32{0, 0, 0, 1, 1, 1, 2, 0, 1, 1, 1, 1, 1, 1}}
			use.x = testkit.Random(random, use.batch*use.time*width, 1)
			seed := testkit.Random(random, len(use.x), 1)
			wantY, wantDx, want := f.gradients(t, use, seed)
			use.economize = true
			y, dx, got := f.gradients(t, use, seed)
			testkit.Close(t, "output", wantY, y, tolerance.Forward)
			testkit.Close(t, "gradient of x", wantDx, dx, tolerance.Gradient)
			for name, gradient := range want {
				testkit.Close(t, "gradient of "+name, gradient, got[name], tolerance.Gradient)
			}
		})
	}
}

func TestStatesAgreeWithTheirReferences(t *testing.T) {
	device := testkit.Device(t)
	for _, c := range cases {
		for name, use := range map[string]call{
			"full rows":   {batch: 2, time: 5},
			"padded rows": {batch: 3, time: 5, lengths: []int32{5, 2, 4}},
			"documents":   {batch: 1, time: 6, documents: []int32{0, 0, 0, 0, 1, 1}},
		} {
			if _, attention := c.config.(*blocks.Transformer); attention && name == "documents" {
				continue // a cache holds one document a row
			}
			t.Run(c.name+" on "+name, func(t *testing.T) {
				f := newFixture(t, device, c.config)
				use.x = testkit.Random(rand.New(rand.NewPCG(31, 32)), use.batch*use.time*width, 1)
				use.capacity, use.state = use.time, f.empty(use.batch, use.time)
				want := f.reference(c.config, use, make([]float64, len(use.x)))
				_, state := f.run(t, use)
				for i, tensor := range f.block.State(use.batch, use.time) {
					expected := want.state[i]
					if tensor.Name == "scan" { // the reference keeps [B,I,N]
						expected = swapLast(expected, tensor.Shape[0], tensor.Shape[2], tensor.Shape[1])
					}
					if use.lengths != nil && tensor.Name != "scan" && tensor.Name != "window" {
						expected = zeroBeyond(expected, use.lengths, use.time)
					}
					testkit.Close(t, tensor.Name, expected, state[i], tolerance.Forward)
				}
			})
		}
	}
}

// swapLast turns [a,b,c] into [a,c,b].
func swapLast(values []float64, a, b, c int) []float64 {
	swapped := make([]float64, len(values))
	for i := range a {
		for j := range b {
			for k := range c {
				swapped[(i*c+k)*b+j] = values[(i*b+j)*c+k]
			}
		}
	}
	return swapped
}

// zeroBeyond clears what a padded row's cache has not been given.
func zeroBeyond(values []float64, lengths []int32, time int) []float64 {
	cleared := append([]float64{}, values...)
	size := len(values) / (len(lengths) * time)
	for b, length := range lengths {
		clear(cleared[(b*time+int(length))*size : (b+1)*time*size])
	}
	return cleared
}
