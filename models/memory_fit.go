package models

import "sort"

// LargestBatch is the most rows of a pass with which a training takes no more than so many bytes; 0 if not even one row
// fits.
func (m *Model) LargestBatch(t Training, available int64) int {
	return largest(func(batch int) bool {
		t.Batch = batch
		return m.TrainingMemory(t).Bytes <= available
	})
}

// LargestRows is the most rows that can be decoded together in so many bytes, of at most capacity tokens each.
func (m *Model) LargestRows(capacity int, available int64) int {
	return largest(func(rows int) bool { return m.InferenceMemory(rows, capacity).Total() <= available })
}

// mostRows bounds searches.
const mostRows = 1 << 20

// largest is the largest count from 1 that fits, where all smaller ones do too; 0 if there is none. It asks for no more than
// twice that: the bytes of far more may be beyond counting.
func largest(fits func(count int) bool) int {
	beyond := 1
	for beyond < mostRows && fits(beyond) {
		beyond *= 2
	}
	return sort.Search(beyond, func(below int) bool { return !fits(below + 1) })
}

// Setting is a way to train that fits a card.
type Setting struct {
	Batch           int     `json:"batch"`
	Accumulate      int     `json:"accumulate"`
	Checkpoint      int     `json:"checkpoint"`
	Bytes           int64   `json:"bytes"`
	TokensPerSecond float64 `json:"tokens_per_second"`
}

// Settings lists ways to train with the same rows a step on a card where they fit, the fastest first: passes of as many
// rows as fit and divide the step's, without checkpoints and with one at each block.
func (m *Model) Settings(t Training, gpu GPU) []Setting {
	settings := []Setting{} // none is an empty list, in JSON too
	rows := t.Batch * max(1, t.Accumulate)
	for _, t.Checkpoint = range []int{0, 1} {
		t.Accumulate = 2 // more passes than two take no more memory
		most := m.LargestBatch(t, gpu.Available())
		t.Accumulate = 1
		if m.LargestBatch(t, gpu.Available()) >= rows {
			most = rows
		}
		for batch := min(rows, most); batch > 0; batch-- {
			if rows%batch != 0 {
				continue
			}
			t.Batch, t.Accumulate = batch, rows/batch
			settings = append(settings, Setting{batch, t.Accumulate, t.Checkpoint, m.TrainingMemory(t).Bytes, m.Speed(t, gpu).TokensPerSecond})
			break
		}
	}
	sort.SliceStable(settings, func(i, j int) bool { return settings[i].TokensPerSecond > settings[j].TokensPerSecond })
	return settings
}

// SmallestGPU is the card of the table with the least memory that a program fits; false if none does.
func SmallestGPU(bytes int64) (smallest GPU, ok bool) {
	for _, gpu := range GPUs {
		if gpu.Available() >= bytes && (!ok || gpu.MemoryMiB < smallest.MemoryMiB) {
			smallest, ok = gpu, true
		}
	}
	return smallest, ok
}
