package lab

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// attentionMeasures are what the tables tell of a query's weights on the tokens before it and itself, the last.
var attentionMeasures = []struct {
	name string
	of   func(weights []float64) float64
}{
	{"tokens looked back", func(weights []float64) (mean float64) {
		for s, weight := range weights {
			mean += weight * float64(len(weights)-1-s)
		}
		return mean
	}},
	{"entropy, bits", func(weights []float64) (bits float64) {
		for _, weight := range weights {
			if weight > 0 {
				bits -= weight * math.Log2(weight)
			}
		}
		return bits
	}},
	{"share of the first token", func(weights []float64) float64 { return weights[0] }},
}

// tables have a row a layer and a column a head, of each measure's mean over the text. The last row is what it would be if
// all tokens that a query sees had the same weight.
func (a *Attention) tables() []Table {
	even := make([][]float64, len(a.Tokens))
	for t := range even {
		even[t] = slices.Repeat([]float64{1 / float64(t+1)}, t+1)
	}
	var tables []Table
	for _, measure := range attentionMeasures {
		mean := func(weights [][]float64) string {
			var sum float64
			for _, row := range weights[1:] { // the first token sees itself alone
				sum += measure.of(row)
			}
			return fmt.Sprintf("%.2f", sum/float64(len(weights)-1))
		}
		table := Table{Heading: []string{measure.name}}
		last := []string{"spread evenly"}
		for head := range a.Weights[0] {
			table.Heading = append(table.Heading, fmt.Sprintf("head %d", head))
			last = append(last, mean(even))
		}
		for i, heads := range a.Weights {
			row := []string{fmt.Sprintf("layer %d", a.Layers[i])}
			for _, weights := range heads {
				row = append(row, mean(weights))
			}
			table.Rows = append(table.Rows, row)
		}
		table.Rows = append(table.Rows, last)
		tables = append(tables, table)
	}
	return tables
}

// note says what was drawn.
func (a *Attention) note() string {
	text := fmt.Sprintf("%s, %s: %d tokens. Each row is a token, and its cells what it takes from each token up to itself; they sum to 1.",
		a.run.Name, a.model.Config.Pattern, len(a.Tokens))
	if len(a.Layers) < a.model.Config.Pattern.Depth() {
		text += fmt.Sprintf(" Its other layers carry a state instead: %s.", a.others())
	}
	return text
}

// others lists the layers without attention, and their kinds: 0-3, 5 (M).
func (a *Attention) others() string {
	var layers []int
	var letters []string
	for i, kind := range a.model.Config.Pattern.Kinds() {
		if slices.Contains(a.Layers, i) {
			continue
		}
		layers = append(layers, i)
		if letter := string(kind.Letter); !slices.Contains(letters, letter) {
			letters = append(letters, letter)
		}
	}
	return fmt.Sprintf("%s (%s)", ranges(layers), strings.Join(letters, ", "))
}

// ranges writes ascending numbers: 0-3, 5.
func ranges(numbers []int) string {
	var parts []string
	for start := 0; start < len(numbers); {
		end := start
		for end+1 < len(numbers) && numbers[end+1] == numbers[end]+1 {
			end++
		}
		part := fmt.Sprint(numbers[start])
		if end > start {
			part += fmt.Sprintf("-%d", numbers[end])
		}
		parts = append(parts, part)
		start = end + 1
	}
	return strings.Join(parts, ", ")
}
