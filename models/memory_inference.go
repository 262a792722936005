package models

import (
	"github.com/gomlx/compute/dtypes"

	"tandem/blocks"
)

// InferenceMemory predicts what generating takes on CUDA for rows of at most capacity tokens: the float32 weights, the
// copies of matrices and head that generate makes, the states of all rows (twice where XLA cannot write in place), and the
// logits. The activations of a prompt that is being read are not in it.
func (m *Model) InferenceMemory(rows, capacity int) Parts {
	state := blocks.StateBytes(m.State(rows, capacity, dtypes.BFloat16))
	return Parts{
		Weights: 4 * int64(m.Parameters()), Copies: 2 * (m.groupSize(GroupMatrix) + m.groupSize(GroupHead)),
		State: state, Results: resultBytes(state), Head: 2 * 4 * int64(rows) * int64(m.Config.Vocab),
	}
}

// StateLine is the state of one row against its tokens: Fixed + tokens · PerToken bytes.
type StateLine struct {
	Fixed    int64 `json:"fixed_bytes"`
	PerToken int64 `json:"bytes_per_token"`
}

// StateLine is what State declares in a 2-byte compute dtype.
func (m *Model) StateLine() StateLine {
	at := func(tokens int) int64 { return blocks.StateBytes(m.State(1, tokens, dtypes.BFloat16)) }
	perToken := at(2) - at(1)
	return StateLine{Fixed: at(1) - perToken, PerToken: perToken}
}
