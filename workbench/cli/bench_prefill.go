package cli

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"tandem/workbench/bench"
	"tandem/workbench/lab"
	"tandem/workbench/repl"
)

func benchPrefill() *cobra.Command {
	var o bench.PrefillOptions
	var asJSON bool
	command := &cobra.Command{
		Use:   "prefill [CONFIG]",
		Short: "Measure the time to the first token by the length of the prompt, of a model with random weights",
		Args:  atMost(1, "one CONFIG"),
		RunE: func(command *cobra.Command, arguments []string) error {
			loaded, err := loadConfig(command, arguments)
			if err != nil {
				return err
			}
			return printAsMeasured(asJSON, printPrefill, func(emit func(bench.PrefillResult) error) error {
				return bench.Prefill(command.Context(), loaded, o, sayOnStderr, emit)
			})
		},
	}
	flags := command.Flags()
	flags.IntSliceVar(&o.Prompts, "prompt", []int{128, 512, 2048}, "tokens of the prompt; several are measured one after the other")
	flags.IntVar(&o.Repeats, "repeats", 5, "runs to take the median of")
	flags.BoolVar(&asJSON, "json", false, "print a line of JSON for each length")
	addModelFlags(command, "backend")
	return command
}

func printPrefill(results []bench.PrefillResult) error {
	b := results[0]
	fmt.Printf("%s, one prompt at a time in chunks of %v; %s bytes of state\n\n", b.Pattern, b.Chunks, lab.Grouped(int(b.StateBytes)))
	var rows [][]string
	for _, b := range results {
		rows = append(rows, []string{lab.Grouped(b.Prompt), fmt.Sprintf("%.1f", 1000*b.FirstSeconds), lab.Grouped(int(b.TokensPerSecond))})
	}
	return repl.WriteTable(os.Stdout, []string{"prompt", "ms to the first token", "tokens/s"}, rows)
}
