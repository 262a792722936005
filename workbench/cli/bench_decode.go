package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"tandem/workbench/bench"
	"tandem/workbench/lab"
	"tandem/workbench/repl"
)

func benchDecode() *cobra.Command {
	var o bench.DecodeOptions
	var asJSON bool
	command := &cobra.Command{
		Use:   "decode [CONFIG]",
		Short: "Measure the decoding of a model with random weights by the number of rows",
		Args:  atMost(1, "one CONFIG"),
		RunE: func(command *cobra.Command, arguments []string) error {
			loaded, err := loadConfig(command, arguments)
			if err != nil {
				return err
			}
			return printAsMeasured(asJSON, printDecode, func(emit func(bench.DecodeResult) error) error {
				return bench.Decode(command.Context(), loaded, o, sayOnStderr, emit)
			})
		},
	}
	flags := command.Flags()
	flags.IntSliceVar(&o.Rows, "rows", []int{1}, "rows decoded together; several, such as 1,8,64, are measured one after the other")
	flags.IntVar(&o.Prompt, "prompt", 16, "tokens of each row's prompt")
	flags.IntVar(&o.Tokens, "tokens", 64, "tokens to draw for each row")
	flags.IntVar(&o.Trip, "trip", 0, "tokens a row gets per visit of the host; 0 is what chat and serve use")
	flags.Float64Var(&o.PeakGBPerSecond, "bandwidth", 0, "the device's memory bandwidth in GB/s; 0 measures a large copy")
	flags.BoolVar(&asJSON, "json", false, "print a line of JSON for each number of rows")
	addModelFlags(command, "backend")
	return command
}

func printDecode(results []bench.DecodeResult) error {
	b := results[0]
	fmt.Printf("%s, %d tokens a row after %d, %d a trip; %s bytes of state a row, %s of weights; a large copy runs at %.4g GB/s\n\n",
		b.Pattern, b.Tokens, b.Prompt, b.Trip, lab.Grouped(int(b.StateBytes)), lab.Grouped(int(b.WeightBytes)), b.PeakGBPerSecond)
	var rows [][]string
	for _, b := range results {
		rows = append(rows, []string{
			fmt.Sprint(b.Rows), fmt.Sprintf("%.1f", 1000*b.FirstSeconds), lab.Grouped(int(b.TokensPerSecond)),
			fmt.Sprintf("%.2f", b.MillisecondsPerToken), fmt.Sprintf("%.1f", b.GBPerSecond), fmt.Sprintf("%.0f%%", 100*b.PeakShare),
		})
	}
	return repl.WriteTable(os.Stdout, []string{"rows", "ms to the first tokens", "tokens/s", "ms a token", "GB/s", "of the copy"}, rows)
}

// printAsMeasured prints each result of a sweep as a line of JSON when it comes, or all as a table at the end, those before
// an error included.
func printAsMeasured[T any](asJSON bool, table func([]T) error, measure func(emit func(T) error) error) error {
	var results []T
	err := measure(func(result T) error {
		results = append(results, result)
		if asJSON {
			return printLine(result)
		}
		return nil
	})
	if asJSON || len(results) == 0 {
		return err
	}
	return errors.Join(table(results), err)
}

// printLine writes a value as one line of JSON.
func printLine(value any) error {
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}

// sayOnStderr tells of progress.
func sayOnStderr(line string) { fmt.Fprintln(os.Stderr, line) }
