package cli

import (
	"fmt"
	"math"
	"os"

	"github.com/spf13/cobra"

	"tandem/workbench/lab"
)

func runsCommand() *cobra.Command {
	var asJSON bool
	command := &cobra.Command{
		Use:   "runs",
		Short: "List the runs, newest first",
		Args:  atMost(0, "no argument"),
		RunE: func(*cobra.Command, []string) error {
			runs, err := lab.Runs()
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(os.Stdout, runs)
			}
			var rows [][]string
			for _, run := range runs {
				s := run.Summary
				rows = append(rows, []string{run.Name, fmt.Sprint(s.Steps), number(s.LastLoss, "%.4f"), number(s.BestValidation, "%.4f"),
					number(s.TokensPerSecond, "%.0f"), run.Problem})
			}
			return printTable(os.Stdout, []string{"run", "steps", "loss", "bits per byte", "tokens/s", ""}, rows)
		},
	}
	command.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return command
}

// number formats a value that may be absent.
func number(value float64, format string) string {
	if math.IsNaN(value) {
		return "-"
	}
	return fmt.Sprintf(format, value)
}
