package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tandem/workbench/bench"
	"tandem/workbench/repl"
)

// memoryFlags are those of bench memory; a child gets them as its parent did.
type memoryFlags struct {
	vocab, steps int
	pass         bool
	limit        float64
	lines        string
	here         bool
}

func benchMemory() *cobra.Command {
	var f memoryFlags
	command := &cobra.Command{
		Use:   "memory [CASE…]",
		Short: "Compare predicted memory with XLA's plan and the allocator's peak on this GPU",
		Long: "A CASE is PATTERN:BATCHxCONTEXT[:CHECKPOINT[:ACCUMULATE]], such as T20:4x1024:1:8; without one a grid of 24 is measured.\n" +
			"Each case runs whole optimizer steps in a process of its own. The table is Markdown.",
		RunE: func(command *cobra.Command, arguments []string) error {
			cases, err := f.cases(arguments)
			if err != nil {
				return usageError{err}
			}
			if err := bench.CanMeasureMemory(); err != nil {
				return err
			}
			if f.here {
				measured, err := bench.Memory(command.Context(), cases[0], f.options())
				if err != nil {
					measured.Problem = repl.OneLine(err)
				}
				return json.NewEncoder(os.Stdout).Encode(measured)
			}
			return f.run(command.Context(), cases)
		},
	}
	flags := command.Flags()
	flags.IntVar(&f.vocab, "vocab", 65536, "number of token ids")
	flags.IntVar(&f.steps, "steps", 3, "steps to run of each case")
	flags.BoolVar(&f.pass, "pass", false, "forward and backward alone, not whole optimizer steps")
	flags.Float64Var(&f.limit, "limit", 0, "GiB that XLA may take of the GPU's memory, as on a smaller card; 0 is its usual share")
	flags.StringVar(&f.lines, "lines", "", "also write each result to this file, a line of JSON each")
	flags.BoolVar(&f.here, "here", false, "measure the one case in this process and print JSON")
	flags.MarkHidden("here")
	return command
}

// cases reads the arguments, and checks the flags.
func (f memoryFlags) cases(arguments []string) ([]bench.MemoryCase, error) {
	switch {
	case f.vocab < 1 || f.steps < 1:
		return nil, fmt.Errorf("bench memory: vocab %d, steps %d: give at least 1 of each", f.vocab, f.steps)
	case math.IsNaN(f.limit) || f.limit < 0 || f.limit > 1<<20:
		return nil, fmt.Errorf("bench memory: limit %g: give GiB from 0", f.limit)
	case f.here && len(arguments) != 1:
		return nil, fmt.Errorf("bench memory: --here takes one case, got %d", len(arguments))
	case len(arguments) == 0:
		return bench.MemoryGrid(), nil
	}
	var cases []bench.MemoryCase
	for _, argument := range arguments {
		parsed, err := bench.ParseMemoryCase(argument)
		if err != nil {
			return nil, err
		}
		cases = append(cases, parsed)
	}
	return cases, nil
}

func (f memoryFlags) options() bench.MemoryOptions {
	return bench.MemoryOptions{Vocab: f.vocab, Pass: f.pass, Limit: int64(f.limit * (1 << 30)), Steps: f.steps}
}

// run measures case after case and prints each row as it is there.
func (f memoryFlags) run(ctx context.Context, cases []bench.MemoryCase) (err error) {
	lines := io.Discard
	if f.lines != "" {
		file, err := os.Create(f.lines)
		if err != nil {
			return fmt.Errorf("bench memory: %w", err)
		}
		defer file.Close()
		lines = file
	}
	fmt.Println("| pattern | batch × context | checkpoint | accumulate | predicted, GiB | XLA plans, GiB | peak, GiB | prediction against plan | against peak | what |")
	fmt.Println("|---|---|---|---|---|---|---|---|---|---|")
	failed := 0
	for i, c := range cases {
		fmt.Fprintf(os.Stderr, "case %d of %d: %s\n", i+1, len(cases), c)
		measured := f.child(ctx, c)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if measured.Problem != "" {
			failed++
		}
		fmt.Println(memoryRow(measured))
		if err := json.NewEncoder(lines).Encode(measured); err != nil {
			return fmt.Errorf("bench memory: write %s: %w", f.lines, err)
		}
	}
	if failed > 0 {
		return fmt.Errorf("bench memory: %d of %d cases did not run to their end; the table says why", failed, len(cases))
	}
	return nil
}

// caseTime is more than any case needs.
const caseTime = 3 * time.Minute

// child measures a case in a process of its own: the allocator's peak is a process's, and one that XLA ends is not ours.
func (f memoryFlags) child(ctx context.Context, c bench.MemoryCase) bench.MemoryResult {
	measured := bench.MemoryResult{MemoryCase: c}
	program, err := os.Executable()
	if err != nil {
		measured.Problem = err.Error()
		return measured
	}
	ctx, cancel := context.WithTimeout(ctx, caseTime)
	defer cancel()
	arguments := []string{"bench", "memory", "--here", c.String(), fmt.Sprintf("--vocab=%d", f.vocab), fmt.Sprintf("--steps=%d", f.steps),
		fmt.Sprintf("--limit=%g", f.limit), fmt.Sprintf("--pass=%t", f.pass)}
	command := exec.CommandContext(ctx, program, arguments...)
	command.WaitDelay = 5 * time.Second
	var stderr strings.Builder
	command.Stderr = &stderr
	output, err := command.Output()
	if err == nil { // libraries may have printed before it
		printed := strings.Split(strings.TrimSpace(string(output)), "\n")
		err = json.Unmarshal([]byte(printed[len(printed)-1]), &measured)
	}
	if err != nil {
		said := strings.Split(strings.TrimSpace(stderr.String()), "\n")
		measured.Problem = fmt.Sprintf("%s: %s", err, said[len(said)-1])
	}
	return measured
}

// memoryRow is a row of the Markdown table.
func memoryRow(m bench.MemoryResult) string {
	size := func(bytes int64) string {
		if bytes == 0 {
			return "–"
		}
		return repl.GiB(bytes)
	}
	against := func(bytes int64) string {
		if bytes == 0 {
			return "–"
		}
		return fmt.Sprintf("%+.1f %%", 100*(float64(m.Predicted)/float64(bytes)-1))
	}
	what := fmt.Sprintf("%d × %s", m.Steps, m.What)
	if m.Limit > 0 {
		what += fmt.Sprintf(" within %s GiB", repl.GiB(m.Limit))
	}
	if m.Problem != "" {
		what = "failed: " + strings.NewReplacer("|", "/", "\n", " ").Replace(m.Problem)
	}
	return fmt.Sprintf("| %s | %d × %d | %d | %d | %s | %s | %s | %s | %s | %s |", m.Pattern, m.Batch, m.Context, m.Checkpoint, m.Accumulate,
		size(m.Predicted), size(m.Planned), size(m.Peak), against(m.Planned), against(m.Peak), what)
}
