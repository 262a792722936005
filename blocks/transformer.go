package blocks

import (
	"fmt"
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"tandem/xla"
)

// Transformer configures the T block: x += attention(norm x); x += mlp(norm x). Parameter-free RMSNorm, RoPE, then
// RMSNorm on queries and keys, grouped-query causal attention, ReLU² MLP, no biases.
type Transformer struct {
	// Heads of queries; 0 is width / head_dim.
	Heads int `json:"heads"`
	// KVHeads of keys and values, a divisor of Heads; 0 is Heads.
	KVHeads int `json:"kv_heads"`
	// HeadDim is the channels of a head, even; 0 is 128, or the width if that is smaller.
	HeadDim int `json:"head_dim"`
	// MLPRatio is the MLP's hidden width over the model's; 0 is 4.
	MLPRatio int `json:"mlp_ratio"`
	// RopeBase is the base of RoPE's frequencies; 0 is 10000.
	RopeBase float64 `json:"rope_base"`
	// MaskDocuments keeps attention within a document where rows are packed. nanochat found no gain in it.
	MaskDocuments bool `json:"mask_documents"`
}

// resolved is the configuration with every default filled in.
func (t Transformer) resolved(width int) Transformer {
	if t.HeadDim == 0 {
		t.HeadDim = min(128, width)
	}
	if t.Heads == 0 {
		t.Heads = max(1, width/t.HeadDim)
	}
	if t.KVHeads == 0 {
		t.KVHeads = t.Heads
	}
	if t.MLPRatio == 0 {
		t.MLPRatio = MLPRatio
	}
	if t.RopeBase == 0 {
		t.RopeBase = 10000
	}
	return t
}

// Validate implements Config.
func (t *Transformer) Validate(width int) error {
	if err := inRange("transformer", t); err != nil {
		return err
	}
	r := t.resolved(width)
	switch {
	case r.HeadDim%2 != 0:
		return fmt.Errorf("transformer.head_dim %d: must be even, for RoPE turns pairs of channels", r.HeadDim)
	case t.Heads == 0 && width%r.HeadDim != 0:
		return fmt.Errorf("transformer.head_dim %d: does not divide the width %d; set head_dim to a divisor, or heads", r.HeadDim, width)
	case r.Heads%r.KVHeads != 0:
		return fmt.Errorf("transformer.kv_heads %d: must divide heads %d", r.KVHeads, r.Heads)
	case !(r.RopeBase >= 1):
		return fmt.Errorf("transformer.rope_base %g: must be at least 1, for a channel's angle to grow no faster than the position", r.RopeBase)
	}
	if err := checkChannels("transformer.heads", r.Heads, "head_dim", r.HeadDim); err != nil {
		return err
	}
	return checkChannels("transformer.mlp_ratio", r.MLPRatio, "the width", width)
}

// Derived implements Config.
func (t *Transformer) Derived(width int) []Derived {
	r := t.resolved(width)
	return []Derived{
		{"transformer.head_dim", r.HeadDim, "min(128, width) unless given"},
		{"transformer.heads", r.Heads, "width / head_dim unless given"},
		{"transformer.kv_heads", r.KVHeads, "heads unless given"},
		{"transformer.mlp_ratio", r.MLPRatio, fmt.Sprintf("%d unless given; the hidden layer is mlp_ratio · width = %d", MLPRatio, r.MLPRatio*width)},
		{"transformer.rope_base", r.RopeBase, "10000 unless given"},
		{"transformer.mask_documents", r.MaskDocuments, "false unless given: attention crosses documents in a packed row"},
	}
}

// Build implements Config.
func (t *Transformer) Build(width int) Block { return &transformer{t.resolved(width), width} }

type transformer struct {
	Transformer
	width int
}

// inputBound bounds the uniform distribution of input projections: standard deviation 1/√width.
func inputBound(width int) float64 { return math.Sqrt(3 / float64(width)) }

// Weights implements Block. Output projections are zero, as in nanochat: each block starts as the identity.
func (t *transformer) Weights() []Weight {
	input := Uniform(inputBound(t.width))
	return append([]Weight{
		matrix("attention.query", t.width, t.Heads*t.HeadDim, input),
		matrix("attention.key", t.width, t.KVHeads*t.HeadDim, input),
		matrix("attention.value", t.width, t.KVHeads*t.HeadDim, input),
		matrix("attention.output", t.Heads*t.HeadDim, t.width, Zero()),
	}, mlpWeights(t.width, t.MLPRatio*t.width)...)
}

// State implements Block: keys (after RoPE and norm) and values of every token so far.
func (t *transformer) State(batch, capacity int) []StateTensor {
	shape := []int{batch, capacity, t.KVHeads, t.HeadDim}
	return []StateTensor{{"keys", shape, dtypes.InvalidDType}, {"values", shape, dtypes.InvalidDType}}
}

// Forward implements Block.
func (t *transformer) Forward(ctx *Context, weights Params, xBTD *Node, state []*Node) (*Node, []*Node) {
	xBTD.AssertDims(ctx.Batch, ctx.Time, t.width)
	normed, xBTD := normBeside(xBTD)
	mixed, next := t.attention(ctx, weights, normed, state)
	return addMLP(weights, xBTD, mixed), next
}

// Step implements Block. Without fused steps, attention over the cache is the same for one token as for many.
func (t *transformer) Step(ctx *Context, weights Params, xB1D *Node, state []*Node) (*Node, []*Node) {
	if !ctx.fusesSteps() {
		return t.Forward(ctx, weights, xB1D, state)
	}
	qkv := xla.Products(xB1D, xla.ProductOptions{NormEpsilon: NormEpsilon},
		weights["attention.query"], weights["attention.key"], weights["attention.value"])
	heads := func(x *Node, count int) *Node { return Reshape(x, ctx.Batch, 1, count, t.HeadDim) }
	in := xla.AttendStepInputs{
		QB1HE: heads(qkv[0], t.Heads), KB1GE: heads(qkv[1], t.KVHeads), VB1GE: heads(qkv[2], t.KVHeads),
		KeysBCGE: state[0], ValuesBCGE: state[1], PositionB: ctx.PositionB, LengthB: ctx.LengthB,
	}
	in.Cos, in.Sin = ctx.Rotary(t.HeadDim, t.RopeBase)
	yB1HE, keys, values := xla.AttendStep(in, NormEpsilon)
	mixed := Reshape(yB1HE, ctx.Batch, 1, t.Heads*t.HeadDim)
	return stepMLP(weights, addProduct(xB1D, mixed, weights["attention.output"])), []*Node{keys, values}
}

// Attention implements Attending. The scores are computed even where Forward takes a kernel that does not keep them.
func (t *transformer) Attention(ctx *Context, weights Params, xBTD *Node) *Node {
	normed, _ := normBeside(xBTD)
	qBTHE, kBTGE := t.queriesAndKeys(ctx, weights, normed)
	return xla.AttentionWeights(qBTHE, kBTGE, ctx.attentionBias(ctx.Time, t.masks(ctx)))
}

// heads is a projection of normed x, one part a head: [B,T,count,E].
func (t *transformer) heads(ctx *Context, xBTD, projection *Node, count int) *Node {
	return Reshape(dense(xBTD, projection), ctx.Batch, ctx.Time, count, t.HeadDim)
}

// queriesAndKeys of normed x are turned by RoPE, then normed.
func (t *transformer) queriesAndKeys(ctx *Context, weights Params, xBTD *Node) (qBTHE, kBTGE *Node) {
	cos, sin := ctx.Rotary(t.HeadDim, t.RopeBase)
	qBTHE = xla.RotaryNorm(t.heads(ctx, xBTD, weights["attention.query"], t.Heads), cos, sin, NormEpsilon)
	kBTGE = xla.RotaryNorm(t.heads(ctx, xBTD, weights["attention.key"], t.KVHeads), cos, sin, NormEpsilon)
	return qBTHE, kBTGE
}

// masks tells whether tokens are not to see those of other documents.
func (t *transformer) masks(ctx *Context) bool { return t.MaskDocuments && ctx.DocumentBT != nil }

func (t *transformer) attention(ctx *Context, weights Params, xBTD *Node, state []*Node) (*Node, []*Node) {
	qBTHE, kBTGE := t.queriesAndKeys(ctx, weights, xBTD)
	vBTGE := t.heads(ctx, xBTD, weights["attention.value"], t.KVHeads)

	var next []*Node
	kBCGE, vBCGE := kBTGE, vBTGE
	if state != nil {
		kBCGE, vBCGE = ctx.append(state[0], kBTGE), ctx.append(state[1], vBTGE)
		next = []*Node{kBCGE, vBCGE}
	}
	masks := state == nil && t.masks(ctx)
	var yBTHE *Node
	if state == nil && !masks {
		yBTHE = xla.FusedAttention(qBTHE, kBTGE, vBTGE)
	}
	if yBTHE == nil {
		yBTHE = xla.Attend(qBTHE, kBCGE, vBCGE, ctx.attentionBias(kBCGE.Shape().Dim(1), masks))
	}
	return dense(Reshape(yBTHE, ctx.Batch, ctx.Time, t.Heads*t.HeadDim), weights["attention.output"]), next
}

// Cost implements Block.
func (t *transformer) Cost(batch, time int) Cost {
	tokens, width := float64(batch)*float64(time), float64(t.width)
	query, kv, hidden := float64(t.Heads*t.HeadDim), float64(t.KVHeads*t.HeadDim), float64(t.MLPRatio*t.width)
	parameters := 2*width*query + 2*width*kv + 2*width*hidden
	// Kept for backward, in numbers a token: both norms' outputs, q and k after RoPE and norm, v, the attention's output,
	// and the MLP's hidden layer before and after its activation.
	kept := 2*width + 2*query + 2*kv + 2*hidden
	if t.KVHeads < t.Heads { // cuDNN is given keys and values repeated for each query head; v itself is then not needed
		kept += 2*query - kv
	}
	// Scales of the norms of width, of q and of k, and the softmax's statistics, float32.
	bytes := 2*kept + 4*(2+2*float64(t.Heads)+float64(t.KVHeads))
	workspace := mlpWorkspace(width, hidden)
	if scores := 4 * float64(t.Heads*time); !t.fuses() { // float32 weights are kept, and their gradient is made from others
		bytes += scores
		workspace = max(workspace, 2*scores+2*4*query)
	}
	return Cost{
		MatrixFLOPs:     2 * parameters * tokens,
		MixFLOPs:        2 * 2 * query * tokens * float64(time) / 2, // causal: half of the scores
		WeightBytes:     int64(4 * parameters),
		ActivationBytes: int64(tokens * bytes),
		WorkspaceBytes:  int64(tokens * workspace),
		StateBytes:      StateBytes(StateIn(t.State(batch, time), dtypes.BFloat16)),
	}
}

// fuses tells whether cuDNN attends in training; see xla.FusedAttention.
func (t *transformer) fuses() bool {
	return t.HeadDim%8 == 0 && t.HeadDim <= 128 && !t.MaskDocuments
}

// append writes the new keys or values into a cache at each row's position: slot c takes token c - position, if that is
// a real one. (The Go backend has no dynamic slices.)
func (c *Context) append(cacheBCGE, newBTGE *Node) *Node {
	batch, capacity := cacheBCGE.Shape().Dim(0), cacheBCGE.Shape().Dim(1)
	slot := Iota(c.Graph, shapes.Make(dtypes.Int32, batch, capacity), 1)
	offset := slot
	if c.PositionB != nil {
		offset = Sub(slot, ExpandAxes(c.PositionB, -1))
	}
	length := full(slot, int32(c.Time))
	if c.LengthB != nil {
		length = BroadcastToDims(ExpandAxes(c.LengthB, -1), batch, capacity)
	}
	fresh := LogicalAnd(GreaterOrEqual(offset, full(slot, 0)), LessThan(offset, length))
	source := newBTGE
	if c.Time > 1 {
		clamped := Max(Min(offset, full(slot, int32(c.Time-1))), full(slot, 0))
		source = gatherTimes(newBTGE, clamped)
	}
	dims := cacheBCGE.Shape().Dimensions
	return Where(BroadcastToDims(ExpandAxes(fresh, -1, -2), dims...), xla.Broadcast(ConvertDType(source, cacheBCGE.DType()), dims...), cacheBCGE)
}

// masked is added to scores that must not count: finite, so that no row of only masked scores becomes NaN.
const masked = -1e9

// attentionBias is 0 where a query may look at a key slot and masked where not: float32 [B or 1,T,C]. A query
// sees the slots up to its own position, and with documents only those of its own.
func (c *Context) attentionBias(capacity int, documents bool) *Node {
	positionBT := c.positionsBT()
	rows := positionBT.Shape().Dim(0)
	if documents {
		rows = c.Batch
	}
	dims := []int{rows, c.Time, capacity}
	slot := Iota(c.Graph, shapes.Make(dtypes.Int32, dims...), 2)
	visible := LessOrEqual(slot, BroadcastToDims(ExpandAxes(positionBT, -1), dims...))
	if documents {
		same := Equal(BroadcastToDims(ExpandAxes(c.DocumentBT, -1), dims...), BroadcastToDims(ExpandAxes(c.DocumentBT, 1), dims...))
		visible = LogicalAnd(visible, same)
	}
	return Where(visible, Const(c.Graph, float32(0)), Const(c.Graph, float32(masked)))
}
