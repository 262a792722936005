package lab

import (
	"fmt"

	"tandem/workbench/plot"
)

// statePoints are the lengths, in tokens, at which States counts.
var statePoints = []int{0, 512, 1024, 2048, 4096, 8192, 16384, 32768}

// StateSizes is what conversations of several models keep, by their length.
type StateSizes struct {
	models []*Architecture
	err    error
}

// States shows how much a conversation has to keep as it grows, for models given by pattern, or by configuration: nothing
// more with each token for Mamba, keys and values for attention.
func States(patterns ...string) *StateSizes {
	s := &StateSizes{}
	if len(patterns) == 0 {
		s.err = fail(fmt.Errorf("compare states: no pattern is given; write for example lab.States(\"T20\", \"M20\")"))
		return s
	}
	for _, pattern := range patterns {
		m := Model(pattern)
		if m.err != nil {
			s.err = m.err
			return s
		}
		s.models = append(s.models, m)
	}
	display.Show(s.panel())
	return s
}

// Err is why there are no sizes.
func (s *StateSizes) Err() error { return s.err }

func (s *StateSizes) panel() Panel {
	curves := plot.Curves{Title: "State of one conversation", X: "tokens", Y: "MB"}
	table := Table{Heading: []string{"tokens"}}
	for _, tokens := range statePoints {
		table.Rows = append(table.Rows, []string{Grouped(tokens)})
	}
	for _, m := range s.models {
		line := plot.Line{Name: m.Pattern()}
		table.Heading = append(table.Heading, m.Pattern())
		for i, tokens := range statePoints {
			bytes := float64(m.StateBytes(tokens))
			line.X, line.Y = append(line.X, float64(tokens)), append(line.Y, bytes/1e6)
			table.Rows[i] = append(table.Rows[i], scaled(bytes, "B"))
		}
		curves.Lines = append(curves.Lines, line)
	}
	return Panel{Picture: curves, Tables: []Table{table}}
}
