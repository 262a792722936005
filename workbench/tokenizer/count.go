package tokenizer

import (
	"iter"
	"runtime"
	"strings"
	"sync"
)

const (
	// batchBytes is how much text goes to a counting worker at once: enough that
	// handing over costs nothing, little enough that memory stays small.
	batchBytes = 1 << 20
	// tailBytes is how far past batchBytes to look for a place to cut.
	tailBytes = 1 << 16
)

// countPieces counts the pieces that texts split into. One worker per processor
// counts into a map of its own; at any time the texts in memory are at most a few
// batches.
func countPieces(texts iter.Seq2[string, error]) (map[string]int64, error) {
	workers := runtime.GOMAXPROCS(0)
	batches := make(chan []string, workers)
	counters := make([]*pieceCounter, workers)
	var group sync.WaitGroup
	for i := range counters {
		counters[i] = &pieceCounter{index: map[string]int{}}
		group.Go(func() {
			for batch := range batches {
				for _, text := range batch {
					counters[i].add(text)
				}
			}
		})
	}
	err := sendBatches(texts, batches)
	group.Wait()
	if err != nil {
		return nil, err
	}
	total := make(map[string]int64)
	for _, counter := range counters {
		for piece, at := range counter.index {
			total[piece] += counter.counts[at]
		}
	}
	return total, nil
}

func sendBatches(texts iter.Seq2[string, error], batches chan<- []string) error {
	defer close(batches)
	var batch []string
	size := 0
	for text, err := range texts {
		if err != nil {
			return err
		}
		for text != "" {
			cut := cutPoint(text)
			batch = append(batch, text[:cut])
			size += cut
			text = text[cut:]
			if size >= batchBytes {
				batches <- batch
				batch, size = nil, 0
			}
		}
	}
	batches <- batch
	return nil
}

// cutPoint returns where text can be cut without changing its pieces: all of a
// short text, else just after a line that is followed by a letter, for no
// alternative of the pattern crosses from CR or LF to a letter.
func cutPoint(text string) int {
	if len(text) <= batchBytes+tailBytes {
		return len(text)
	}
	for i := batchBytes; i < batchBytes+tailBytes; i++ {
		if text[i-1] != '\n' {
			continue
		}
		if c, _ := classAt(text, i); c == letter {
			return i
		}
	}
	return len(text)
}

// pieceCounter counts through an index, so that counting a piece seen before
// writes to no map, and a piece is copied only once: a map key that were a slice
// of its text would keep the whole text in memory.
type pieceCounter struct {
	index  map[string]int
	counts []int64
}

func (c *pieceCounter) add(text string) {
	for i := 0; i < len(text); {
		end := pieceEnd(text, i)
		piece := text[i:end]
		at, seen := c.index[piece]
		if !seen {
			at = len(c.counts)
			c.index[strings.Clone(piece)] = at
			c.counts = append(c.counts, 0)
		}
		c.counts[at]++
		i = end
	}
}
