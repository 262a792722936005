package lab

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
)

// The calls of a notebook's cell (Model, Train, Resume, Watch, Stop, Open, Compare, States, Run.Chat and those that look
// into attention and the scan) show what they do and return one value. If a call fails it shows the error in the result's
// place; its result's Err says it too, and every further call on that result does nothing. Must ends the cell there instead.

// Checked is what a cell-facing call returns: Err is nil, or why it failed.
type Checked interface{ Err() error }

// exit is os.Exit, but for tests.
var exit = os.Exit

// Must returns the value, or ends the cell, or program, with exit code 1 if it is a failed one: so that "run all cells"
// stops at the first failure. The error was shown already.
func Must[T Checked](value T) T {
	if value.Err() != nil {
		exit(1)
	}
	return value
}

// Option says how a model is made or trained, beyond its pattern.
type Option func(*plan)

// plan is what options add up to.
type plan struct {
	overrides   []string // of the configuration, KEY=VALUE
	keepRunning bool
}

func planOf(options []Option) plan {
	var p plan
	return p.with(options)
}

func (p plan) with(options []Option) plan {
	p.overrides = append([]string{}, p.overrides...)
	for _, option := range options {
		option(&p)
	}
	return p
}

// Set sets any key of the configuration; "workbench config" lists them.
func Set(key string, value any) Option {
	return func(p *plan) { p.overrides = append(p.overrides, fmt.Sprintf("%s=%v", key, value)) }
}

// Depth is the number of layers: all transformer without a pattern, and else a check of the pattern.
func Depth(layers int) Option { return Set("depth", layers) }

// Width is the size of the residual stream; without it 64 a layer, rounded up to a multiple of 128.
func Width(size int) Option { return Set("width", size) }

// Context is the longest sequence in tokens.
func Context(tokens int) Option { return Set("context", tokens) }

// Vocab is the number of token ids.
func Vocab(tokens int) Option { return Set("vocab", tokens) }

// Data is the corpus: "godoc", "godoc:net/http", a text or .jsonl file, a folder or a glob.
func Data(corpus string) Option { return Set("data", corpus) }

// Batch is the rows of a pass; a step has one pass unless accumulate is set.
func Batch(rows int) Option { return Set("batch", rows) }

// Steps is the optimizer steps of a training.
func Steps(count int) Option { return Set("steps", count) }

// Minutes is the time that a training's steps take, in place of a number of steps; compiling and evaluating come on top.
// The learning rate falls towards that end as it does towards a last step.
func Minutes(minutes float64) Option {
	return Set("minutes", strconv.FormatFloat(minutes, 'g', -1, 64))
}

// Seed draws the initial weights and the order of the data.
func Seed(seed uint64) Option { return Set("seed", seed) }

// Name is the run's name, or the path of its folder; without it a name is made up.
func Name(run string) Option { return Set("run", run) }

// Backend is where it runs: "auto", "go", "cpu", "cuda" or a GoMLX configuration.
func Backend(name string) Option { return Set("backend", name) }

// KeepRunning lets a training go on when its cell is interrupted, or its program ends; Watch shows it again and Stop ends
// it. Without it an interrupted cell stops its training, with a checkpoint.
func KeepRunning() Option { return func(p *plan) { p.keepRunning = true } }

// interruptible gives a context that ends when the cell is interrupted.
func interruptible() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), os.Interrupt)
}

// fail shows an error.
func fail(err error) error {
	display.Show(Panel{Err: err})
	return err
}

// Grouped writes a count with commas: 560,988,160.
func Grouped[T int | int64](count T) string {
	digits := strconv.FormatInt(int64(count), 10)
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return digits
}

// scaled writes a number with a unit prefix: 1.2 G.
func scaled(value float64, unit string) string {
	for _, prefix := range []struct {
		size float64
		name string
	}{{1e18, "E"}, {1e15, "P"}, {1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if value >= 0.9995*prefix.size { // which rounds to it
			return fmt.Sprintf("%.3g %s%s", value/prefix.size, prefix.name, unit)
		}
	}
	return strings.TrimSpace(fmt.Sprintf("%.3g %s", value, unit))
}
