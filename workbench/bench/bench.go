// Package bench measures speed and memory on this machine: training, decoding, prompts, a server under load, the memory of a
// training against its prediction, and single kernels. It owns what is measured and how (random weights and tokens, warm-up,
// medians, the device's own peaks), and gives results as values; what they look like on a terminal is its caller's. workbench
// bench, in cli, is its only user. It never imports cli, repl, web or notebook, and lab never imports it.
package bench

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// warmup is the runs before the measured ones.
const warmup = 2

// median times repeats runs and returns the middle one in seconds.
func median(ctx context.Context, repeats int, run func() error) (float64, error) {
	var seconds []float64
	for i := range warmup + repeats {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		started := time.Now()
		if err := run(); err != nil {
			return 0, err
		}
		if i >= warmup {
			seconds = append(seconds, time.Since(started).Seconds())
		}
	}
	slices.Sort(seconds)
	return seconds[len(seconds)/2], nil
}

// Mistake is an error in what was asked for, such as an option out of range, and not in the measurement.
type Mistake struct{ error }

// mistake makes a Mistake.
func mistake(format string, arguments ...any) error { return Mistake{fmt.Errorf(format, arguments...)} }

// positiveRepeats refuses a median of nothing.
func positiveRepeats(repeats int) error {
	if repeats < 1 {
		return mistake("bench: repeats %d: must be positive", repeats)
	}
	return nil
}
