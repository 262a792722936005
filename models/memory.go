package models

import (
	"fmt"

	"tandem/xla"
)

// Training says how a model is trained, as far as memory goes.
type Training struct {
	// Batch is the rows of a pass, Accumulate the passes of a step, Checkpoint the blocks that backward runs again at a
	// time, 0 for none.
	Batch      int `json:"batch"`
	Accumulate int `json:"accumulate"`
	Checkpoint int `json:"checkpoint"`
	// Update is false for forward and backward alone, whose results are the gradients.
	Update bool `json:"update"`
	// OptimizerBytes is the optimizer's state, UpdateBytes what its update holds beside that and the gradients.
	OptimizerBytes int64 `json:"optimizer_bytes"`
	UpdateBytes    int64 `json:"update_bytes"`
}

// Parts is device memory by what is in it, in bytes.
type Parts struct {
	// Weights are the float32 masters, Copies those of them in the compute dtype.
	Weights int64 `json:"weights"`
	Copies  int64 `json:"copies"`
	// Optimizer is its state, Results what a program writes beside its arguments: new weights and state.
	Optimizer int64 `json:"optimizer"`
	Results   int64 `json:"results"`
	Gradients int64 `json:"gradients"`
	// Activations are kept from forward for backward.
	Activations int64 `json:"activations"`
	// Head is what the loss takes: logits of a chunk and their gradient, and the head's input and its gradient.
	Head int64 `json:"head"`
	// Workspace is what the backward pass of one block, or the update, holds for itself.
	Workspace int64 `json:"workspace"`
	// State is what decoding carries.
	State int64 `json:"state"`
}

// Total sums the parts.
func (p Parts) Total() int64 {
	return p.Weights + p.Copies + p.Optimizer + p.Results + p.Gradients + p.Activations + p.Head + p.Workspace + p.State
}

// BlockMemory is one block's share of a training's memory, in bytes.
type BlockMemory struct {
	Name string `json:"name"`
	Kind string `json:"kind"`
	// Weights are the float32 masters.
	Weights int64 `json:"weights"`
	// Kept stays from forward to backward; Checkpointed is what stays if the block is checkpointed.
	Kept         int64 `json:"kept"`
	Checkpointed int64 `json:"checkpointed"`
	// Rebuilt is what backward computes again, and Workspace what it holds beside all that.
	Rebuilt   int64 `json:"rebuilt"`
	Workspace int64 `json:"workspace"`
}

// TrainingMemory is a prediction of a training's device memory on CUDA.
type TrainingMemory struct {
	Training
	// Peak is the most at any moment, At that moment in words.
	Peak Parts  `json:"peak"`
	At   string `json:"at"`
	// Bytes is Peak's total.
	Bytes  int64         `json:"bytes"`
	Blocks []BlockMemory `json:"blocks"`
}

// TrainingMemory predicts what training takes, from the weights and costs that the blocks declare: activations and matrix
// products in a 2-byte dtype, every kernel taken. It is the largest of these moments:
//
//  1. the loss: all activations are kept, and one chunk of logits and its gradient exists;
//  2. the backward pass of each block, or of each run of blocks between checkpoints: the activations of the blocks before
//     it are kept, and the gradients of those after it are there;
//  3. the update: no activations, all gradients, and the optimizer's workspace.
//
// Backward's workspaces are counts of tensors that were measured once, on one H200 (Cost.WorkspaceBytes); all else is
// counted. What CUDA and its libraries take for themselves is not in it (GPU.Available).
func (m *Model) TrainingMemory(t Training) TrainingMemory {
	p := TrainingMemory{Training: t, Blocks: m.blockMemory(t.Batch)}
	e := &estimate{
		model: m, training: t, prediction: &p, kept: keptBefore(p.Blocks, t.Checkpoint),
		stream: int64(t.Batch) * int64(m.Config.Context) * 2 * int64(m.Config.Width),
		head:   m.groupSize(GroupHead),
		single: t.Update && t.Accumulate <= 1,
	}
	e.loss()
	e.backward()
	if t.Update {
		e.update()
	}
	return p
}

// estimate is a prediction in the making.
type estimate struct {
	model      *Model
	training   Training
	prediction *TrainingMemory
	kept       []int64 // activations of the first i blocks
	stream     int64   // bytes of one tensor [B,T,D]
	head       int64   // weights of the head
	// single is a step of one pass, which makes its gradients as it goes; passes that are added up, and a pass alone, have
	// room for all gradients from the start.
	single bool
	made   int64 // bytes of the gradients so far
}

// consider takes a moment for the peak if it is the largest yet.
func (e *estimate) consider(at string, parts Parts) {
	if total := parts.Total(); total > e.prediction.Bytes {
		e.prediction.Peak, e.prediction.At, e.prediction.Bytes = parts, at, total
	}
}

// resident is what is there through a pass.
func (e *estimate) resident() Parts {
	parts := Parts{Weights: 4 * int64(e.model.Parameters()), Optimizer: e.training.OptimizerBytes, Copies: 2 * e.model.groupSize(GroupMatrix)}
	switch {
	case e.single:
		parts.Results = resultBytes(parts.Weights + parts.Optimizer)
	case e.training.Update: // the sums so far, and with this pass's
		parts.Gradients, parts.Results = parts.Weights, resultBytes(parts.Weights)
	default:
		parts.Gradients = parts.Weights
	}
	return parts
}

func (e *estimate) loss() {
	m, parts := e.model, e.resident()
	parts.Activations = e.kept[len(e.kept)-1]
	parts.Head = xla.HeadLossBytes(e.training.Batch*m.Config.Context, m.Config.Width, m.Config.Vocab, e.single) + 2*e.head + 2*e.stream
	e.made = 4 * e.head
	if e.training.Update {
		parts.Gradients += e.made
	}
	e.consider("the loss", parts)
}

func (e *estimate) backward() {
	rows, resident := e.prediction.Blocks, e.resident()
	for last := len(rows) - 1; last >= 0; {
		parts, first := resident, last
		if k := e.training.Checkpoint; k > 0 {
			first = last / k * k
		}
		parts.Activations, parts.Head = e.kept[last+1], e.stream // the gradient that arrives
		var own int64
		for i := first; i <= last; i++ {
			if e.training.Checkpoint > 0 {
				parts.Workspace += rows[i].Kept
			}
			own = max(own, rows[i].Rebuilt+rows[i].Workspace)
			e.made += e.model.gradientBytes(i)
		}
		parts.Workspace += own
		if e.single {
			parts.Gradients += e.made
		}
		e.consider("the backward pass of "+rows[last].Name, parts)
		last = first - 1
	}
}

func (e *estimate) update() {
	parts := Parts{Weights: 4 * int64(e.model.Parameters()), Optimizer: e.training.OptimizerBytes, Workspace: e.training.UpdateBytes}
	parts.Results, parts.Gradients = resultBytes(parts.Weights+parts.Optimizer), parts.Weights
	if e.single {
		parts.Gradients = e.made + 4*e.model.groupSize(GroupEmbedding)
	}
	e.consider("the update", parts)
}

// resultBytes is the room for results the size of donated arguments.
func resultBytes(arguments int64) int64 {
	if xla.WritesInPlace {
		return 0
	}
	return arguments
}

// blockMemory is the account of each block for a batch of whole rows.
func (m *Model) blockMemory(batch int) []BlockMemory {
	rows := make([]BlockMemory, len(m.stack))
	kinds := m.Config.Pattern.Kinds()
	for i, block := range m.stack {
		cost := block.Cost(batch, m.Config.Context)
		rows[i] = BlockMemory{
			Name: fmt.Sprintf("block %d", i), Kind: kinds[i].Name, Weights: cost.WeightBytes, Kept: cost.ActivationBytes,
			Checkpointed: int64(batch) * int64(m.Config.Context) * 2 * int64(m.Config.Width),
			Rebuilt:      cost.RebuiltBytes, Workspace: cost.WorkspaceBytes,
		}
	}
	return rows
}

// keptBefore is the activations kept by the first i blocks, for each i from 0 to all.
func keptBefore(rows []BlockMemory, checkpoint int) []int64 {
	sums := make([]int64, len(rows)+1)
	for i, row := range rows {
		sums[i+1] = sums[i]
		switch {
		case checkpoint <= 0:
			sums[i+1] += row.Kept
		case i%checkpoint == 0:
			sums[i+1] += row.Checkpointed
		}
	}
	return sums
}

// groupSize is the number of weights in an optimizer group.
func (m *Model) groupSize(group Group) (count int64) {
	for _, weight := range m.weights {
		if weight.Group == group {
			count += int64(weight.Size())
		}
	}
	return count
}

// gradientBytes is a block's gradients before they are used: of matrices in the compute dtype, of all else in float32.
func (m *Model) gradientBytes(i int) (bytes int64) {
	for _, weight := range m.weights[m.first[i]:m.first[i+1]] {
		size := int64(4)
		if weight.Group == GroupMatrix {
			size = 2
		}
		bytes += size * int64(weight.Size())
	}
	return bytes
}
