package bench

import (
	"math/rand/v2"
	"runtime"
	"sync"

	"github.com/gomlx/gomlx/core/tensors"

	"tandem/blocks"
	"tandem/models"
	"tandem/workbench/train"
)

// randomWeights draws initial weights without zeros: products of zeros run faster than any training does.
func randomWeights(model *models.Model) []*tensors.Tensor {
	weights := make([]*tensors.Tensor, len(model.Weights()))
	var group sync.WaitGroup
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	for i, weight := range model.Weights() {
		group.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			if weight.Init == blocks.Zero() {
				weight.Init = blocks.Uniform(0.02)
			}
			values := make([]float32, weight.Size())
			weight.Init.Fill(rand.New(rand.NewPCG(1, uint64(i))), values, weight.Shape[len(weight.Shape)-1])
			weights[i] = tensors.FromFlatDataAndDimensions(values, weight.Shape...)
		})
	}
	group.Wait()
	return weights
}

// randomBatch draws tokens of one document a row.
func randomBatch(model *models.Model, rows int) train.Batch {
	random := rand.New(rand.NewPCG(2, 3))
	draw := func() []int32 {
		ids := make([]int32, rows*model.Config.Context)
		for i := range ids {
			ids[i] = random.Int32N(int32(model.Config.Vocab))
		}
		return ids
	}
	return train.Batch{Tokens: draw(), Targets: draw(), Documents: make([]int32, rows*model.Config.Context)}
}

// randomPrompts draws prompts of the same length.
func randomPrompts(vocab, rows, tokens int) [][]int32 {
	random := rand.New(rand.NewPCG(4, 5))
	prompts := make([][]int32, rows)
	for i := range prompts {
		prompts[i] = make([]int32, tokens)
		for j := range prompts[i] {
			prompts[i][j] = random.Int32N(int32(vocab))
		}
	}
	return prompts
}
