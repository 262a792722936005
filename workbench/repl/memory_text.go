package repl

import (
	"fmt"
	"io"

	"tandem/workbench/lab"
)

// WriteMemory says what a training takes, and what that means for a card if the report has one.
func WriteMemory(out io.Writer, r lab.MemoryReport) error {
	t := r.Training
	unit := unitOf(t.Bytes)
	fmt.Fprintf(out, "%s, %s parameters; batch %d × context %d, accumulate %d, checkpoint %d; bfloat16 on CUDA\n\n",
		r.Pattern, lab.Grouped(r.Parameters), t.Batch, r.Context, t.Accumulate, t.Checkpoint)
	heading := []string{"blocks", "kind", unit.name + " each: weights", "activations", "with checkpoint 1", "workspace of backward"}
	if err := WriteTable(out, heading, blockRows(r, unit)); err != nil {
		return err
	}
	fmt.Fprintln(out)
	peak := sizeRows(unit, []sizeRow{
		{"weights, float32", t.Peak.Weights}, {"weights, bfloat16", t.Peak.Copies}, {"optimizer", t.Peak.Optimizer},
		{"gradients", t.Peak.Gradients}, {"activations", t.Peak.Activations}, {"logits and head", t.Peak.Head},
		{"workspace", t.Peak.Workspace}, {"results beside arguments", t.Peak.Results}, {"total", t.Bytes},
	})
	if err := WriteTable(out, []string{"training", unit.name + " at its peak, " + t.At}, peak); err != nil {
		return err
	}
	fmt.Fprintln(out)
	inference := sizeRows(unit, []sizeRow{
		{"weights, float32", r.Inference.Weights}, {"weights, bfloat16", r.Inference.Copies}, {"state", r.Inference.State},
		{"results beside arguments", r.Inference.Results}, {"logits", r.Inference.Head}, {"total", r.Inference.Bytes},
	})
	state := fmt.Sprintf("%s bytes and %s a token", lab.Grouped(int(r.StateRow.Fixed)), lab.Grouped(int(r.StateRow.PerToken)))
	if err := WriteTable(out, []string{"inference", unit.name + " for one row"}, append(inference, []string{"state of a row", state})); err != nil {
		return err
	}
	fmt.Fprintf(out, "\n%.3g GFLOP a token in training\n", r.FLOPsPerToken/1e9)
	if r.Card == nil {
		if r.SmallestGPU == "" {
			fmt.Fprintln(out, "it fits no card that is known")
			return nil
		}
		fmt.Fprintf(out, "the smallest card that it fits: %s; --gpu NAME says more\n", r.SmallestGPU)
		return nil
	}
	return writeCard(out, *r.Card)
}

// sizeUnit is what sizes of a table are written in.
type sizeUnit struct {
	bytes float64
	name  string
}

// unitOf is the unit for the parts of so many bytes.
func unitOf(total int64) sizeUnit {
	bytes, name := lab.SizeUnit(total)
	return sizeUnit{bytes, name}
}

func (u sizeUnit) write(bytes int64) string { return fmt.Sprintf("%.2f", float64(bytes)/u.bytes) }

// sizeRow is a part of a memory.
type sizeRow struct {
	name  string
	bytes int64
}

// sizeRows are the parts that there are.
func sizeRows(unit sizeUnit, parts []sizeRow) (rows [][]string) {
	for _, part := range parts {
		if part.bytes > 0 {
			rows = append(rows, []string{part.name, unit.write(part.bytes)})
		}
	}
	return rows
}

// blockRows lists the blocks, those alike that follow one another in one row.
func blockRows(r lab.MemoryReport, unit sizeUnit) [][]string {
	var rows [][]string
	for first, all := 0, r.Training.Blocks; first < len(all); {
		last := first
		for last+1 < len(all) && all[last+1].Kind == all[first].Kind {
			last++
		}
		block, name := all[first], fmt.Sprint(first)
		if last > first {
			name = fmt.Sprintf("%d to %d", first, last)
		}
		rows = append(rows, []string{name, block.Kind, unit.write(block.Weights), unit.write(block.Kept), unit.write(block.Checkpointed), unit.write(block.Rebuilt + block.Workspace)})
		first = last + 1
	}
	return rows
}

func writeCard(out io.Writer, card lab.CardReport) error {
	fits, about := "no", "would be about"
	if card.Fits {
		fits, about = "yes", "about"
	}
	rows := [][]string{
		{"memory", fmt.Sprintf("%s GiB, of which a program may use %s", GiB(card.MemoryBytes()), GiB(card.Available))},
		{"fits", fits},
		{"largest batch", fmt.Sprintf("%s; %s with checkpoint 1", lab.Grouped(card.LargestBatch), lab.Grouped(card.LargestCheckpointed))},
		{"largest rows of inference", lab.Grouped(card.LargestRows)},
		{"speed", fmt.Sprintf("%s %s tokens/s: %.3g s a step, %.0f%% of the card's %.3g TFLOP/s", about, lab.Grouped(int(card.Speed.TokensPerSecond)),
			card.Speed.StepSeconds, 100*card.Speed.PeakShare, card.MatrixTFLOPs)},
	}
	for _, s := range card.Settings {
		unit := unitOf(s.Bytes)
		rows = append(rows, []string{"same rows a step that fit", fmt.Sprintf("batch %d, accumulate %d, checkpoint %d: %s %s, about %s tokens/s",
			s.Batch, s.Accumulate, s.Checkpoint, unit.write(s.Bytes), unit.name, lab.Grouped(int(s.TokensPerSecond)))})
	}
	fmt.Fprintln(out)
	return WriteTable(out, []string{card.Name, "prediction"}, rows)
}
