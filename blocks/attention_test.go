package blocks_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/stretchr/testify/require"

	"tandem/blocks"
	"tandem/blocks/ref"
	"tandem/tests/testkit"
)

// referenceAttention is the weights [B,H,T,T] from what the reference caches of the keys, and would cache of the queries if
// those were keys.
func (f *fixture) referenceAttention(o *blocks.Transformer, c call) []float64 {
	heads, channels := derived[int](o, "transformer.heads"), derived[int](o, "transformer.head_dim")
	group := heads / derived[int](o, "transformer.kv_heads")
	cached := func(swap bool) ref.Array {
		t, config, weights := ref.NewTape(), *o, map[string]ref.Array{}
		for i, weight := range f.block.Weights() {
			weights[weight.Name] = t.Array(weight.Shape, f.weights[i])
		}
		if swap {
			config.KVHeads = heads
			weights["attention.key"], weights["attention.value"] = weights["attention.query"], weights["attention.query"]
		}
		_, state := f.referenceTransformer(t, &config, weights, t.Array([]int{c.batch, c.time, width}, c.x), c)
		return state[0]
	}
	keys, queries := cached(false).Values(), cached(true).Values()
	weights := make([]float64, c.batch*heads*c.time*c.time)
	for i := range c.batch * heads * c.time {
		b, h, at := i/c.time/heads, i/c.time%heads, i%c.time
		row, sum := weights[i*c.time:][:c.time], 0.0
		for s := range c.time {
			if s > at || o.MaskDocuments && c.documents != nil && c.documents[b*c.time+s] != c.documents[b*c.time+at] {
				continue
			}
			score := 0.0
			for e := range channels {
				score += queries[((b*c.time+at)*heads+h)*channels+e] * keys[((b*c.time+s)*heads/group+h/group)*channels+e]
			}
			row[s] = math.Exp(score / math.Sqrt(float64(channels)))
			sum += row[s]
		}
		for s := range row {
			row[s] /= sum
		}
	}
	return weights
}

func TestAttentionWeightsAreTheReferences(t *testing.T) {
	device := testkit.Device(t)
	attending := 0
	for _, c := range cases {
		config, ok := c.config.(*blocks.Transformer)
		if !ok {
			continue
		}
		attending++
		for name, use := range map[string]call{
			"one token":    {batch: 1, time: 1},
			"several rows": {batch: 2, time: 7},
			"documents":    {batch: 2, time: 5, documents: []int32{0, 0, 0, 1, 1, 0, 1, 1, 2, 2}},
		} {
			t.Run(c.name+" on "+name, func(t *testing.T) {
				f := newFixture(t, device, config)
				use.x = testkit.Random(rand.New(rand.NewPCG(41, 42)), use.batch*use.time*width, 1)
				list, arguments := f.inputs(use)
				got := testkit.Run(t, device, list, func(nodes []*graph.Node) []*graph.Node {
					ctx, params, x, _ := arguments(nodes)
					return []*graph.Node{f.block.(blocks.Attending).Attention(ctx, params, x)}
				})[0]
				want := f.referenceAttention(config, use)
				testkit.Close(t, "weights", want, got, tolerance.Forward)
				for i, weight := range want {
					if weight == 0 {
						require.Zero(t, got[i], "what a query may not see has no weight at all")
					}
				}
			})
		}
	}
	require.Equal(t, 3, attending)
}
