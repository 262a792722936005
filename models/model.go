package models

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"runtime"
	"sync"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"

	"tandem/blocks"
	"tandem/xla"
)

// What blocks declare, under the names that users of a model need.
type (
	Weight      = blocks.Weight
	Group       = blocks.Group
	StateTensor = blocks.StateTensor
	Derived     = blocks.Derived
)

// The optimizer groups that a Weight may be in.
const (
	GroupMatrix    = blocks.GroupMatrix
	GroupEmbedding = blocks.GroupEmbedding
	GroupHead      = blocks.GroupHead
)

// Model is a stack of blocks between an embedding and a head. It holds no weights and no graph: its methods declare
// tensors, or build graph nodes from the nodes they are given.
type Model struct {
	Config  Config
	stack   []blocks.Block
	weights []Weight
	// first is the index of each block's first weight, and one past the last block's.
	first []int
}

// New builds the model of a configuration.
func New(config Config) (*Model, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	config = config.Resolved()
	m := &Model{Config: config}
	m.weights = []Weight{
		{Name: "embedding", Shape: []int{config.Vocab, config.Width}, Init: blocks.Normal(1), Group: blocks.GroupEmbedding, DType: dtypes.Float32},
		{Name: "head", Shape: []int{config.Width, config.Vocab}, Init: blocks.Zero(), Group: blocks.GroupHead, DType: dtypes.Float32},
	}
	for i, kind := range config.Pattern.Kinds() {
		block := config.Blocks.Of(kind).Build(config.Width)
		m.stack = append(m.stack, block)
		m.first = append(m.first, len(m.weights))
		for _, weight := range block.Weights() {
			weight.Name = fmt.Sprintf("blocks.%02d.%s", i, weight.Name)
			m.weights = append(m.weights, weight)
		}
	}
	m.first = append(m.first, len(m.weights))
	return m, nil
}

// Weights declares every tensor of the model, in the order in which all methods take and give them.
func (m *Model) Weights() []Weight { return m.weights }

// Init draws the initial weights: float32 values in the order of Weights. A tensor's values depend on the seed and its
// name alone, so they are the same on every backend and whatever the other layers are.
func (m *Model) Init(seed uint64) [][]float32 {
	values := make([][]float32, len(m.weights))
	var group sync.WaitGroup
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	for i, weight := range m.weights {
		group.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			hash := fnv.New64a()
			hash.Write([]byte(weight.Name))
			values[i] = make([]float32, weight.Size())
			weight.Init.Fill(rand.New(rand.NewPCG(seed, hash.Sum64())), values[i], weight.Shape[len(weight.Shape)-1])
		})
	}
	group.Wait()
	return values
}

// hidden runs the stack: tokens [B,T] to the residual stream [B,T,D], of which the head reads the norm. state is nil in
// training; otherwise it lists the tensors of State without the position, and comes back as it is after these tokens.
// weights are the nodes of Weights, float32. With checkpoint k > 0 the backward pass keeps the residual stream before every
// k-th block alone, and runs k blocks again from there.
func (m *Model) hidden(ctx *blocks.Context, weights []*Node, tokensBT *Node, state []*Node, checkpoint int) (xBTD *Node, next []*Node) {
	xBTD = m.embed(ctx, weights, tokensBT)
	for i, block := range m.stack {
		if checkpoint > 0 && i%checkpoint == 0 {
			xBTD = xBTD.Checkpoint()
		}
		params := m.params(ctx, i, block, weights)
		var own, after []*Node
		if state != nil {
			count := len(block.State(ctx.Batch, m.Config.Context))
			own, state = state[:count], state[count:]
		}
		if own != nil && ctx.Time == 1 {
			xBTD, after = block.Step(ctx, params, xBTD, own)
		} else {
			xBTD, after = block.Forward(ctx, params, xBTD, own)
		}
		next = append(next, after...)
	}
	if checkpoint > 0 {
		xBTD = xBTD.StopCheckpoint()
	}
	return xBTD, next
}

// embed is what the first block gets.
func (m *Model) embed(ctx *blocks.Context, weights []*Node, tokensBT *Node) *Node {
	return blocks.Norm(ConvertDType(Gather(weights[0], ExpandAxes(tokensBT, -1)), ctx.Compute))
}

// params gives block i its weights by name, matrices in the compute dtype.
func (m *Model) params(ctx *blocks.Context, i int, block blocks.Block, weights []*Node) blocks.Params {
	params := blocks.Params{}
	for j, weight := range block.Weights() {
		node := weights[m.first[i]+j]
		if weight.Group == blocks.GroupMatrix {
			node = ConvertDType(node, ctx.Compute)
		}
		params[weight.Name] = node
	}
	return params
}

// logits is cap·tanh(norm(x)·head/cap), float32 [B,T,V].
func (m *Model) logits(ctx *blocks.Context, weights []*Node, xBTD *Node) *Node {
	return xla.Logits(xBTD, ConvertDType(weights[1], ctx.Compute), blocks.NormEpsilon, m.Config.Softcap)
}

// Forward runs whole rows from their start: tokens [B,T] to logits, float32 [B,T,V]. documentsBT numbers the document of
// each token within its row; nil is one document a row. weights are the nodes of Weights, float32; compute is the dtype
// of activations and products.
func (m *Model) Forward(compute dtypes.DType, weights []*Node, tokensBT, documentsBT *Node) *Node {
	ctx := newContext(compute, tokensBT)
	ctx.DocumentBT = documentsBT
	xBTD, _ := m.hidden(ctx, weights, tokensBT, nil, 0)
	return m.logits(ctx, weights, xBTD)
}

// Loss is the mean cross-entropy of the targets in nats, a float32 scalar, and that of each, float32 [B,T], which cannot be
// differentiated. Targets below zero count nothing. checkpoint is the number of blocks that the backward pass runs again at
// a time, so as not to keep their activations; 0 keeps all. The other arguments are Forward's.
func (m *Model) Loss(compute dtypes.DType, weights []*Node, tokensBT, targetsBT, documentsBT *Node, checkpoint int) (mean, lossBT *Node) {
	realBT := ConvertDType(GreaterOrEqual(targetsBT, ZerosLike(targetsBT)), dtypes.Float32)
	shareBT := Div(realBT, MaxScalar(ReduceAllSum(realBT), 1))
	return m.SharedLoss(compute, weights, tokensBT, targetsBT, documentsBT, shareBT, checkpoint)
}

// SharedLoss is Loss with a share of each target's cross-entropy in the sum, float32 [B,T], of any sign, instead of the
// mean's. It is a constant to the gradient.
func (m *Model) SharedLoss(compute dtypes.DType, weights []*Node, tokensBT, targetsBT, documentsBT, shareBT *Node, checkpoint int) (total, lossBT *Node) {
	ctx := newContext(compute, tokensBT)
	ctx.DocumentBT = documentsBT
	ctx.Economize = checkpoint == 0 && compute != dtypes.Float32 // in float32, on the host, time is shorter than memory
	xBTD, _ := m.hidden(ctx, weights, tokensBT, nil, checkpoint)
	rows := ctx.Batch * ctx.Time
	total, lossM := xla.HeadLoss(Reshape(blocks.Norm(xBTD), rows, m.Config.Width), weights[1], Reshape(targetsBT, rows), Reshape(shareBT, rows), m.Config.Softcap)
	return total, Reshape(lossM, ctx.Batch, ctx.Time)
}

// Losses is Loss's second result alone, for less work where no gradient is wanted.
func (m *Model) Losses(compute dtypes.DType, weights []*Node, tokensBT, targetsBT, documentsBT *Node) (lossBT *Node) {
	ctx := newContext(compute, tokensBT)
	ctx.DocumentBT = documentsBT
	xBTD, _ := m.hidden(ctx, weights, tokensBT, nil, 0)
	rows := ctx.Batch * ctx.Time
	lossM := xla.HeadLosses(Reshape(blocks.Norm(xBTD), rows, m.Config.Width), weights[1], Reshape(targetsBT, rows), m.Config.Softcap)
	return Reshape(lossM, ctx.Batch, ctx.Time)
}

// newContext is a block context of the sizes of tokens.
func newContext(compute dtypes.DType, tokensBT *Node) *blocks.Context {
	dims := tokensBT.Shape().Dimensions
	return &blocks.Context{Graph: tokensBT.Graph(), Batch: dims[0], Time: dims[1], Compute: compute}
}

// State declares what decoding carries for a batch of rows of at most capacity tokens: first each row's position, then
// the tensors of every block.
func (m *Model) State(batch, capacity int, compute dtypes.DType) []StateTensor {
	state := []StateTensor{{Name: "position", Shape: []int{batch}, DType: dtypes.Int32}}
	for i, block := range m.stack {
		for _, tensor := range blocks.StateIn(block.State(batch, capacity), compute) {
			tensor.Name = fmt.Sprintf("blocks.%02d.%s", i, tensor.Name)
			state = append(state, tensor)
		}
	}
	return state
}

// Extend feeds tokens [B,T] to rows that are in a state, as State declares it: the prompt at once, a part of it, or one
// token each (T = 1). lengthB says how many of each row's tokens are real. It returns the logits after each row's last
// real token, float32 [B,V], and the state after it.
func (m *Model) Extend(compute dtypes.DType, weights []*Node, tokensBT, lengthB *Node, state []*Node) (logitsBV *Node, next []*Node) {
	ctx := newContext(compute, tokensBT)
	ctx.PositionB, ctx.LengthB = state[0], lengthB
	xBTD, after := m.hidden(ctx, weights, tokensBT, state[1:], 0)
	last := xBTD
	if ctx.Time > 1 {
		index := MaxScalar(AddScalar(lengthB, -1), 0)
		row := Iota(ctx.Graph, index.Shape(), 0)
		last = ExpandAxes(Gather(xBTD, Stack([]*Node{row, index}, -1)), 1)
	}
	logitsBV = Reshape(m.logits(ctx, weights, last), ctx.Batch, m.Config.Vocab)
	return logitsBV, append([]*Node{Add(state[0], lengthB)}, after...)
}
