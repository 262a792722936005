package lab

import (
	"fmt"
	"math"

	"github.com/gomlx/compute/dtypes"

	"tandem/blocks"
	"tandem/models"
	"tandem/workbench/config"
)

// RowState is what one conversation keeps on a GPU, where states are in bfloat16 but for those of scans.
type RowState struct {
	Pattern string `json:"pattern"`
	models.StateLine
	// Tokens are lengths and Bytes what the state takes at each.
	Tokens []int   `json:"tokens"`
	Bytes  []int64 `json:"bytes"`
}

// RowStates counts the state of a row of a model at lengths in tokens.
func RowStates(c *config.Config, tokens []int) (RowState, error) {
	model, err := models.New(c.Model)
	if err != nil {
		return RowState{}, err
	}
	r := RowState{Pattern: model.Config.Pattern.String(), StateLine: model.StateLine(), Tokens: tokens}
	for _, length := range tokens {
		if length < 1 {
			return RowState{}, fmt.Errorf("memory states: tokens %d: must be positive", length)
		}
		if most := (math.MaxInt64 - r.Fixed) / max(1, r.PerToken); int64(length) > most {
			return RowState{}, fmt.Errorf("memory states: tokens %d: the state has more bytes than can be counted; give at most %d", length, most)
		}
		r.Bytes = append(r.Bytes, blocks.StateBytes(model.State(1, length, dtypes.BFloat16)))
	}
	return r, nil
}
