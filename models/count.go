package models

import (
	"fmt"

	"tandem/blocks"
)

// Row is one line of a model's account: the embedding, a block or the head.
type Row struct {
	Name       string `json:"name"`
	Kind       string `json:"kind,omitempty"`
	Parameters int    `json:"parameters"`
	// Share of all parameters, 0…1.
	Share float64 `json:"share"`
}

// Account lists the parameters by part.
type Account struct {
	Rows       []Row `json:"rows"`
	Parameters int   `json:"parameters"`
	// Matrices are the parameters that Muon trains.
	Matrices int `json:"matrices"`
}

// Parameters is the number of parameters by declaration.
func (m *Model) Parameters() (count int) {
	for _, weight := range m.weights {
		count += weight.Size()
	}
	return count
}

// Account counts parameters by part, from the declarations.
func (m *Model) Account() Account {
	account := Account{Parameters: m.Parameters()}
	add := func(name, kind string, weights []blocks.Weight) {
		row := Row{Name: name, Kind: kind}
		for _, weight := range weights {
			row.Parameters += weight.Size()
			if weight.Group == blocks.GroupMatrix {
				account.Matrices += weight.Size()
			}
		}
		row.Share = float64(row.Parameters) / float64(account.Parameters)
		account.Rows = append(account.Rows, row)
	}
	add("embedding", "", m.weights[:1])
	for i, kind := range m.Config.Pattern.Kinds() {
		add(fmt.Sprintf("block %d", i), kind.Name, m.weights[m.first[i]:m.first[i+1]])
	}
	add("head", "", m.weights[1:2])
	return account
}

// FLOPs of one training step (forward and backward) on batch rows of time tokens: three times the forward pass, the
// head included, the embedding's lookup not.
func (m *Model) FLOPs(batch, time int) float64 {
	forward := 2 * float64(m.Config.Width) * float64(m.Config.Vocab) * float64(batch) * float64(time)
	for _, block := range m.stack {
		cost := block.Cost(batch, time)
		forward += cost.MatrixFLOPs + cost.MixFLOPs
	}
	return 3 * forward
}
