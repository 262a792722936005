package cli

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"tandem/workbench/config"
	"tandem/workbench/lab"
	"tandem/workbench/repl"
)

func memoryStates() *cobra.Command {
	var tokens []int
	var asJSON bool
	command := &cobra.Command{
		Use:   "states PATTERN...",
		Short: "Count the state that a conversation keeps on a GPU, by pattern and length",
		Args: func(_ *cobra.Command, arguments []string) error {
			if len(arguments) == 0 {
				return usageError{fmt.Errorf("memory states: no pattern is given; write for example: workbench memory states T20 M20")}
			}
			return nil
		},
		RunE: func(command *cobra.Command, arguments []string) error {
			var states []lab.RowState
			for _, pattern := range arguments {
				loaded, err := config.Load("", append(configOverrides(command), "pattern="+pattern))
				if err != nil {
					return usageError{err}
				}
				state, err := lab.RowStates(loaded, tokens)
				if err != nil {
					return usageError{err}
				}
				states = append(states, state)
			}
			if asJSON {
				return printJSON(os.Stdout, states)
			}
			return printStates(os.Stdout, states)
		},
	}
	command.Flags().IntSliceVar(&tokens, "tokens", []int{2048, 8192, 32768}, "lengths in tokens")
	command.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	addModelFlags(command)
	return command
}

func printStates(out io.Writer, states []lab.RowState) error {
	heading := []string{"pattern", "bytes", "and a token"}
	for _, length := range states[0].Tokens {
		heading = append(heading, "at "+lab.Grouped(length))
	}
	heading = append(heading, "of "+states[0].Pattern)
	var rows [][]string
	for _, s := range states {
		row := []string{s.Pattern, lab.Grouped(int(s.Fixed)), lab.Grouped(int(s.PerToken))}
		for _, bytes := range s.Bytes {
			row = append(row, lab.Grouped(int(bytes)))
		}
		last := len(s.Bytes) - 1
		rows = append(rows, append(row, fmt.Sprintf("%.3g%%", 100*float64(s.Bytes[last])/float64(states[0].Bytes[last]))))
	}
	return repl.WriteTable(out, heading, rows)
}
