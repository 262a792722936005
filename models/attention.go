package models

import (
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"

	"tandem/blocks"
)

// AttentionLayers lists the layers, from 0, that have attention weights.
func (m *Model) AttentionLayers() (layers []int) {
	for i, block := range m.stack {
		if _, ok := block.(blocks.Attending); ok {
			layers = append(layers, i)
		}
	}
	return layers
}

// Attention runs whole rows, tokens [B,T], as Forward does, and gives the weights of each of AttentionLayers: float32
// [B,H,T,T], query by key. Each query's sum to 1, and those of later tokens are 0.
func (m *Model) Attention(compute dtypes.DType, weights []*Node, tokensBT *Node) (layersBHTT []*Node) {
	ctx := newContext(compute, tokensBT)
	xBTD := m.embed(ctx, weights, tokensBT)
	for i, block := range m.stack {
		params := m.params(ctx, i, block, weights)
		if attending, ok := block.(blocks.Attending); ok {
			layersBHTT = append(layersBHTT, attending.Attention(ctx, params, xBTD))
		}
		xBTD, _ = block.Forward(ctx, params, xBTD, nil)
	}
	return layersBHTT
}
