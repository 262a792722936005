package cli

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"tandem/workbench/lab"
	"tandem/workbench/repl"
)

func runsCommand() *cobra.Command {
	var asJSON, compare bool
	var picture string
	command := &cobra.Command{
		Use:   "runs [--compare RUN|PATTERN…]",
		Short: "List the runs, newest first, or compare some",
		Long: `List the runs, newest first. With --compare, put runs side by side: each by its name, by its path, or by a pattern, which
stands for the newest trained run that has it; without any, the newest. --plot draws their losses against steps, tokens and seconds.`,
		Args: func(command *cobra.Command, arguments []string) error {
			if compare {
				return nil
			}
			return atMost(0, "no argument without --compare")(command, arguments)
		},
		RunE: func(_ *cobra.Command, arguments []string) error {
			switch {
			case picture != "" && !compare:
				return usageError{errors.New("runs: --plot draws a comparison; add --compare")}
			case compare:
				return compareRuns(arguments, picture, asJSON)
			}
			if asJSON {
				runs, err := lab.Runs()
				if err != nil {
					return err
				}
				return printJSON(os.Stdout, runs)
			}
			return repl.WriteRuns(os.Stdout)
		},
	}
	command.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	command.Flags().BoolVar(&compare, "compare", false, "compare the runs named, or the newest")
	command.Flags().StringVar(&picture, "plot", "", "draw the comparison to this .svg or .png file")
	return command
}

// compareRuns prints a comparison, and draws it where a file is named.
func compareRuns(references []string, picture string, asJSON bool) error {
	if picture != "" {
		if err := lab.CheckPicture(picture); err != nil {
			return usageError{err}
		}
	}
	comparison, err := lab.CompareRuns(references)
	if err != nil {
		return err
	}
	if picture != "" {
		if err := comparison.Save(picture); err != nil {
			return err
		}
		fmt.Fprintln(os.Stderr, "drew "+picture)
	}
	if asJSON {
		return printJSON(os.Stdout, comparison.Entries)
	}
	table := comparison.Table()
	return repl.WriteTable(os.Stdout, table.Heading, table.Rows)
}
