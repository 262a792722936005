package generate

import (
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/stretchr/testify/require"

	"tandem/tests/testkit"
)

// counting is a model of one state, the number of tokens fed: the logits prefer the token after the last, and the
// better the more tokens were fed.
func counting(vocab int) func(weights []*graph.Node, tokensB1, lengthB *graph.Node, state []*graph.Node) (*graph.Node, []*graph.Node) {
	return func(_ []*graph.Node, tokensB1, lengthB *graph.Node, state []*graph.Node) (*graph.Node, []*graph.Node) {
		g := tokensB1.Graph()
		fed := graph.Add(state[0], lengthB)
		id := graph.Iota(g, shapes.Make(dtypes.Int32, tokensB1.Shape().Dim(0), vocab), 1)
		following := graph.Equal(id, graph.Add(tokensB1, graph.Const(g, int32(1))))
		weight := graph.ExpandAxes(graph.ConvertDType(fed, dtypes.Float32), -1)
		return graph.Mul(graph.ConvertDType(following, dtypes.Float32), weight), []*graph.Node{fed}
	}
}

func TestTheDeviceLoopEqualsTheUnrolledOneAndFreezesRows(t *testing.T) {
	device := testkit.Device(t)
	const rows, vocab, trip = 3, 12, 5
	options, stops := make([]float32, 0, rows*optionCount), make([]int32, rows*maxStops)
	for i := range stops {
		stops[i] = -1
	}
	stops[maxStops+2] = 4 // row 1 meets it after two tokens
	for range rows {
		columns := (Sampling{}).row()
		options = append(options, columns[:]...)
	}
	inputs := []*tensors.Tensor{
		tensors.FromFlatDataAndDimensions(options, rows, optionCount),
		tensors.FromFlatDataAndDimensions(make([]uint32, 2*rows), rows, 2),
		testkit.Int(stops, rows, maxStops),
		testkit.Int([]int32{0, 2, 6}, rows), testkit.Int([]int32{1, 1, 1}, rows), testkit.Int([]int32{9, 9, 1}, rows),
		tensors.FromFlatDataAndDimensions(make([]bool, rows*vocab), rows, vocab),
		testkit.Int([]int32{1, 1, 1}, rows),
	}
	for name, build := range map[string]func(decoder, *graph.Graph, controls, []*graph.Node) []*graph.Node{
		"loop": decoder.loop,
		"unrolled": func(d decoder, _ *graph.Graph, c controls, state []*graph.Node) []*graph.Node {
			return d.unrolled(c, state)
		},
	} {
		t.Run(name, func(t *testing.T) {
			outputs := testkit.Run(t, device, inputs, func(nodes []*graph.Node) []*graph.Node {
				d := decoder{trip: trip, extend: counting(vocab)}
				return build(d, nodes[0].Graph(), controlsOf(nodes[:7]), nodes[7:])
			})
			require.Equal(t, []float64{1, 2, 3, 4, 5, 3, 4, -1, -1, -1, 7, -1, -1, -1, -1}, outputs[0], "tokens")
			require.Equal(t, []float64{5, 4, 7}, outputs[2], "the tokens to feed next")
			require.Equal(t, []float64{6, 3, 2}, outputs[3], "positions")
			require.Equal(t, []float64{4, 0, 0}, outputs[4], "tokens left")
			require.Equal(t, []float64{6, 3, 2}, outputs[6], "tokens fed: a frozen row's state stays")
			seen := make([]float64, rows*vocab)
			for _, at := range []int{1, 2, 3, 4, 5, vocab + 3, vocab + 4, 2*vocab + 7} {
				seen[at] = 1
			}
			require.Equal(t, seen, outputs[5])
		})
	}
}
