package lab

import (
	"errors"
	"fmt"
)

// Grid is numbers over two things that can be turned: Cells[x][y]. A notebook shows sliders, text a table.
type Grid struct {
	Title        string
	XName, YName string
	X, Y         []string
	Cells        [][]string
}

// Table is the whole grid.
func (g Grid) Table() Table {
	t := Table{Heading: []string{g.XName + " \\ " + g.YName}}
	t.Heading = append(t.Heading, g.Y...)
	for i, x := range g.X {
		t.Rows = append(t.Rows, append([]string{x}, g.Cells[i]...))
	}
	return t
}

// Estimate shows what training would take on cards such as "rtx3070", "l4" or "h100": whether it fits, the largest batch
// and tokens per second, by prediction; "auto" is this machine's.
func (m *Architecture) Estimate(gpus ...string) *Architecture {
	if m.err != nil {
		return m
	}
	if len(gpus) == 0 {
		gpus = []string{"rtx3070", "h100"}
	}
	table := Table{Heading: []string{"card", "for programs", "training takes", "fits", "largest batch", "with checkpoint 1", "tokens/s"}}
	for _, name := range gpus {
		gpu, err := FindGPU(name)
		if err != nil {
			fail(err)
			continue
		}
		r, err := Memory(m.Config, &gpu)
		if err != nil && !errors.Is(err, ErrTooSmall) {
			fail(err)
			continue
		}
		fits, speed := "yes", "about "+Grouped(int(r.Card.Speed.TokensPerSecond))
		if !r.Card.Fits {
			fits, speed = "no", "-"
		}
		table.Rows = append(table.Rows, []string{gpu.Name, Size(r.Card.Available), Size(r.Training.Bytes), fits,
			Grouped(r.Card.LargestBatch), Grouped(r.Card.LargestCheckpointed), speed})
	}
	if len(table.Rows) > 0 {
		display.Show(Panel{Tables: []Table{table}})
	}
	return m
}

// The batches and contexts that Explore offers.
var (
	exploredBatches  = []int{1, 2, 4, 8, 16, 32, 64}
	exploredContexts = []int{256, 512, 1024, 2048, 4096, 8192}
)

// Explore shows the memory of a training against batch and context: with sliders in a notebook, as a table in text.
func (m *Architecture) Explore() *Architecture {
	if m.err != nil {
		return m
	}
	grid := Grid{Title: "Training memory of " + m.Pattern(), XName: "batch", YName: "context"}
	for _, context := range exploredContexts {
		grid.Y = append(grid.Y, Grouped(context))
	}
	for _, batch := range exploredBatches {
		grid.X = append(grid.X, fmt.Sprint(batch))
		var cells []string
		for _, context := range exploredContexts {
			c := *m.Config
			c.Model.Context, c.Train.Batch = context, batch
			r, err := Memory(&c, nil)
			if err != nil {
				m.err = fail(err)
				return m
			}
			cells = append(cells, Size(r.Training.Bytes))
		}
		grid.Cells = append(grid.Cells, cells)
	}
	display.Show(Panel{Grid: &grid})
	return m
}

// memoryTable is what training and generating take on a GPU, by part.
func memoryTable(r MemoryReport) Table {
	p := r.Training.Peak
	table := Table{Heading: []string{"memory on a GPU", "training, at its peak: " + r.Training.At, "generating, one row"}}
	for _, row := range []struct {
		name              string
		training, running int64
	}{
		{"weights, float32", p.Weights, r.Inference.Weights},
		{"weights, bfloat16", p.Copies, r.Inference.Copies},
		{"optimizer", p.Optimizer, 0},
		{"gradients", p.Gradients, 0},
		{"activations", p.Activations, 0},
		{"logits and head", p.Head, r.Inference.Head},
		{"workspace and results", p.Workspace + p.Results, r.Inference.Results},
		{"state", p.State, r.Inference.State},
		{"total", r.Training.Bytes, r.Inference.Bytes},
	} {
		table.Rows = append(table.Rows, []string{row.name, Size(row.training), Size(row.running)})
	}
	return table
}
