package blocks

import (
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"tandem/xla"
)

// Context is all that a block needs from outside itself. The model fills it once per graph; a block takes what it uses.
type Context struct {
	Graph *Graph
	// Batch and Time are the sizes of the tokens at hand.
	Batch, Time int
	// Compute is the dtype of activations and matrix products.
	Compute dtypes.DType
	// PositionB is the number of tokens of each row before these, int32 [B]; nil is zero.
	PositionB *Node
	// LengthB is the number of real tokens of each row, int32 [B]; those after it are padding and change no state.
	// nil means that all are real.
	LengthB *Node
	// DocumentBT numbers the document of each token within its row, int32 [B,T]; nil is one document a row. Numbers may
	// not come back after another one.
	DocumentBT *Node
	// Economize lets blocks compute again in the backward pass what is large and cheap. Where whole blocks are computed
	// again it must not be set.
	Economize bool

	rotary map[rotaryKey][2]*Node
	marks  map[bool]*Node
}

type rotaryKey struct {
	channels int
	base     float64
}

// Rotary returns cos and sin of RoPE's angles, float32 [B or 1, T, 1, E/2]: position · base^(-2j/E), j = 0…E/2-1
// (Su et al. 2021, arXiv:2104.09864, eq. 15). All blocks of a graph share one table.
func (c *Context) Rotary(channels int, base float64) (cos, sin *Node) {
	key := rotaryKey{channels, base}
	if table, ok := c.rotary[key]; ok {
		return table[0], table[1]
	}
	frequencies := make([]float32, channels/2)
	for j := range frequencies {
		frequencies[j] = float32(math.Pow(base, -2*float64(j)/float64(channels)))
	}
	position := ConvertDType(c.positionsBT(), dtypes.Float32)
	angle := Mul(ExpandAxes(position, -1, -2), Reshape(Const(c.Graph, frequencies), 1, 1, 1, channels/2))
	if c.rotary == nil {
		c.rotary = map[rotaryKey][2]*Node{}
	}
	c.rotary[key] = [2]*Node{Cos(angle), Sin(angle)}
	return c.rotary[key][0], c.rotary[key][1]
}

// positionsBT is the position of each token in its row: int32 [B,T], or [1,T] when every row starts at zero.
func (c *Context) positionsBT() *Node {
	time := c.timeIota()
	if c.PositionB == nil {
		return time
	}
	return Add(ExpandAxes(c.PositionB, -1), time)
}

// timeIota is 0…T-1 as int32 [1,T].
func (c *Context) timeIota() *Node {
	return Iota(c.Graph, shapes.Make(dtypes.Int32, 1, c.Time), 1)
}

// markBT tells a recurrence what to do at each token, int32 [B,T]. Documents count only if reset is set. The first
// token of a row continues whatever state the row came with.
func (c *Context) markBT(reset bool) *Node {
	if mark, ok := c.marks[reset]; ok {
		return mark
	}
	mark := Zeros(c.Graph, shapes.Make(dtypes.Int32, c.Batch, c.Time))
	if reset && c.DocumentBT != nil && c.Time > 1 {
		first := Zeros(c.Graph, shapes.Make(dtypes.Bool, c.Batch, 1))
		changed := NotEqual(SliceAxis(c.DocumentBT, 1, AxisRange(1)), SliceAxis(c.DocumentBT, 1, AxisRange(0, c.Time-1)))
		mark = Where(Concatenate([]*Node{first, changed}, 1), full(mark, xla.MarkStart), mark)
	}
	if c.LengthB != nil {
		mark = Where(c.paddingBT(), full(mark, xla.MarkPadding), mark)
	}
	if c.marks == nil {
		c.marks = map[bool]*Node{}
	}
	c.marks[reset] = mark
	return mark
}

// paddingBT is true where a row has no real token; call it only with LengthB set.
func (c *Context) paddingBT() *Node {
	time := BroadcastToDims(c.timeIota(), c.Batch, c.Time)
	return GreaterOrEqual(time, BroadcastToDims(ExpandAxes(c.LengthB, -1), c.Batch, c.Time))
}

// fusesSteps tells whether decoding one token a row is to use xla's operations for that.
func (c *Context) fusesSteps() bool {
	return c.Time == 1 && c.PositionB != nil && c.LengthB != nil && xla.FusesSteps(c.LengthB)
}

// full is an int32 tensor of like's shape holding value.
func full(like *Node, value int32) *Node {
	return BroadcastToDims(Const(like.Graph(), value), like.Shape().Dimensions...)
}

// gatherTimes takes entry index[b,c] of row b of x [B,T,…]: the result is [B,C,…].
func gatherTimes(x, indexBC *Node) *Node {
	row := Iota(x.Graph(), indexBC.Shape(), 0)
	return Gather(x, Stack([]*Node{row, indexBC}, -1))
}
