package repl

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"github.com/guptarohit/asciigraph"

	"tandem/workbench/lab"
)

const (
	plotWidth  = 64
	plotHeight = 14
)

func (p *Prompt) plot(_ context.Context, a arguments) error {
	references, file := a.words, ""
	if count := len(references); count > 0 && slices.Contains([]string{".svg", ".png"}, strings.ToLower(filepath.Ext(references[count-1]))) {
		references, file = references[:count-1], references[count-1]
	}
	if len(references) == 0 {
		run, err := lab.OpenRun(p.run)
		if err != nil {
			return err
		}
		references = []string{run.Folder}
	}
	comparison, err := lab.CompareRuns(references)
	if err != nil {
		return err
	}
	if file != "" {
		if err := comparison.Save(file); err != nil {
			return err
		}
		fmt.Fprintln(p.out, "drew "+file)
		return nil
	}
	return p.plotText(comparison.Entries)
}

// plotText draws the losses with letters, over the same steps.
func (p *Prompt) plotText(entries []lab.Compared) error {
	last := 0.0
	for _, entry := range entries {
		if steps, _ := entry.Loss(); entry.HasCurve() {
			last = max(last, steps[len(steps)-1])
		}
	}
	if last == 0 {
		return fmt.Errorf("plot %s: it has no step with a finite loss, so there is no curve", entries[0].Label)
	}
	var lines [][]float64
	var names []string
	for _, entry := range entries {
		if steps, nats := entry.Loss(); entry.HasCurve() {
			lines, names = append(lines, resampled(steps, nats, last)), append(names, entry.Label)
		}
	}
	// Without colours, which not every terminal has, the lines are told apart by what they are drawn with.
	known := []asciigraph.CharSet{asciigraph.DefaultCharSet}
	for _, mark := range []string{"*", "+", "o", "x", "#"} {
		known = append(known, asciigraph.CreateCharSet(mark))
	}
	marks := make([]asciigraph.CharSet, len(lines))
	for i := range marks {
		marks[i] = known[i%len(known)]
	}
	fmt.Fprintln(p.out, asciigraph.PlotMany(lines, asciigraph.Height(plotHeight), asciigraph.Precision(2), asciigraph.XAxisRange(1, last),
		asciigraph.SeriesChars(marks...)))
	legend := "training loss, nats a token, against steps:"
	for i, name := range names {
		legend += " " + name + " " + marks[i].Horizontal
	}
	fmt.Fprintln(p.out, legend)
	return nil
}

// resampled is a curve at so many steps from 1 to last as the plot is wide; NaN where the run has none.
func resampled(steps, values []float64, last float64) []float64 {
	line := make([]float64, plotWidth)
	for i := range line {
		step := 1 + (last-1)*float64(i)/(plotWidth-1)
		at := sort.SearchFloat64s(steps, step-1e-9)
		if line[i] = math.NaN(); at < len(steps) {
			line[i] = values[at]
		}
	}
	return line
}
