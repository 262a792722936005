package blocks_test

import (
	"math/rand/v2"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/stretchr/testify/require"

	"tandem/blocks"
	"tandem/tests/testkit"
	"tandem/xla"
)

const width = 12

// cases are the block configurations that every property is tested for.
var cases = []struct {
	name   string
	config blocks.Config
}{
	{"a transformer", &blocks.Transformer{HeadDim: 6}},
	{"a transformer with grouped queries", &blocks.Transformer{HeadDim: 4, Heads: 4, KVHeads: 2, MLPRatio: 2}},
	{"a transformer that masks documents", &blocks.Transformer{HeadDim: 6, MaskDocuments: true}},
	{"a mamba", &blocks.Mamba{State: 5}},
	{"a mamba with an MLP and three taps", &blocks.Mamba{State: 3, Conv: 3, Expand: 1, DtRank: 2, MLP: true}},
	{"a mamba across documents", &blocks.Mamba{State: 4, AcrossDocuments: true}},
}

// separatesDocuments tells whether documents packed in a row do not see each other.
func separatesDocuments(config blocks.Config) bool {
	if t, ok := config.(*blocks.Transformer); ok {
		return t.MaskDocuments
	}
	return !config.(*blocks.Mamba).AcrossDocuments
}

// fixture is a block with weights, none of them zero.
type fixture struct {
	device  *xla.Device
	block   blocks.Block
	weights [][]float64
}

func newFixture(t testing.TB, device *xla.Device, config blocks.Config) *fixture {
	require.NoError(t, config.Validate(width))
	f := &fixture{device: device, block: config.Build(width)}
	random := rand.New(rand.NewPCG(7, 11))
	for _, weight := range f.block.Weights() {
		values := make([]float32, weight.Size())
		if weight.Init.Kind == "zero" {
			weight.Init = blocks.Normal(0.2)
		}
		weight.Init.Fill(random, values, weight.Shape[len(weight.Shape)-1])
		wide := make([]float64, len(values))
		for i, value := range values {
			wide[i] = float64(value)
		}
		f.weights = append(f.weights, wide)
	}
	return f
}

// call is one use of a block: what is in its context, and the state it starts from (nil for none).
type call struct {
	batch, time                   int
	x                             []float64
	lengths, positions, documents []int32
	state                         [][]float64
	capacity                      int
	step, economize               bool
}

// inputs lists the tensors of a call and a function that turns their nodes into the block's arguments.
func (f *fixture) inputs(c call) ([]*tensors.Tensor, func(nodes []*graph.Node) (*blocks.Context, blocks.Params, *graph.Node, []*graph.Node)) {
	var list []*tensors.Tensor
	for i, weight := range f.block.Weights() {
		list = append(list, testkit.Float(f.weights[i], weight.Shape...))
	}
	list = append(list, testkit.Float(c.x, c.batch, c.time, width))
	stateAt := len(list)
	for i, tensor := range f.block.State(c.batch, c.capacity) {
		if c.state != nil {
			list = append(list, testkit.Float(c.state[i], tensor.Shape...))
		}
	}
	optional := func(values []int32, shape ...int) int {
		if values == nil {
			return -1
		}
		list = append(list, testkit.Int(values, shape...))
		return len(list) - 1
	}
	length, position := optional(c.lengths, c.batch), optional(c.positions, c.batch)
	document := optional(c.documents, c.batch, c.time)
	stateEnd := stateAt
	if c.state != nil {
		stateEnd += len(c.state)
	}
	return list, func(nodes []*graph.Node) (*blocks.Context, blocks.Params, *graph.Node, []*graph.Node) {
		pick := func(i int) *graph.Node {
			if i < 0 {
				return nil
			}
			return nodes[i]
		}
		ctx := &blocks.Context{Graph: nodes[0].Graph(), Batch: c.batch, Time: c.time, Compute: dtypes.Float32,
			LengthB: pick(length), PositionB: pick(position), DocumentBT: pick(document), Economize: c.economize}
		params := blocks.Params{}
		for i, weight := range f.block.Weights() {
			params[weight.Name] = nodes[i]
		}
		var state []*graph.Node
		if c.state != nil {
			state = nodes[stateAt:stateEnd]
		}
		return ctx, params, nodes[stateAt-1], state
	}
}

// run returns the output and the state after a call.
func (f *fixture) run(t testing.TB, c call) (y []float64, state [][]float64) {
	t.Helper()
	list, arguments := f.inputs(c)
	outputs := testkit.Run(t, f.device, list, func(nodes []*graph.Node) []*graph.Node {
		ctx, params, x, state := arguments(nodes)
		forward := f.block.Forward
		if c.step {
			forward = f.block.Step
		}
		y, next := forward(ctx, params, x, state)
		if state == nil {
			next = nil
		}
		return append([]*graph.Node{y}, next...)
	})
	return outputs[0], outputs[1:]
}

// empty is the state before the first token.
func (f *fixture) empty(batch, capacity int) [][]float64 {
	var state [][]float64
	for _, tensor := range f.block.State(batch, capacity) {
		state = append(state, make([]float64, testkit.Size(tensor.Shape...)))
	}
	return state
}

// columns takes tokens from … to-1 of x [batch, time, width].
func columns(x []float64, batch, time, from, to int) []float64 {
	var part []float64
	for b := range batch {
		part = append(part, x[(b*time+from)*width:(b*time+to)*width]...)
	}
	return part
}

// repeated is n times the same int32.
func repeated(value int32, n int) []int32 {
	values := make([]int32, n)
	for i := range values {
		values[i] = value
	}
	return values
}
