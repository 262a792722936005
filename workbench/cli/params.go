package cli

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"tandem/workbench/lab"
)

func paramsCommand() *cobra.Command {
	var asJSON bool
	command := &cobra.Command{
		Use:   "params [CONFIG]",
		Short: "Count a model's parameters by block",
		Args:  atMost(1, "one CONFIG"),
		RunE: func(command *cobra.Command, arguments []string) error {
			loaded, err := loadConfig(command, arguments)
			if err != nil {
				return err
			}
			account, err := lab.Params(loaded)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(os.Stdout, account)
			}
			var rows [][]string
			for _, row := range account.Rows {
				rows = append(rows, []string{row.Name, row.Kind, grouped(row.Parameters), fmt.Sprintf("%.1f%%", 100*row.Share)})
			}
			rows = append(rows,
				[]string{"total", account.Pattern, grouped(account.Parameters), "100.0%"},
				[]string{"of which matrices", "", grouped(account.Matrices), fmt.Sprintf("%.1f%%", 100*float64(account.Matrices)/float64(account.Parameters))})
			return printTable(os.Stdout, []string{"part", "kind", "parameters", "share"}, rows)
		},
	}
	command.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	addConfigFlags(command)
	return command
}

func configCommand() *cobra.Command {
	var asJSON bool
	command := &cobra.Command{
		Use:   "config [CONFIG]",
		Short: "Print every value of a configuration and where it comes from",
		Args:  atMost(1, "one CONFIG"),
		RunE: func(command *cobra.Command, arguments []string) error {
			loaded, err := loadConfig(command, arguments)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(os.Stdout, loaded.Derived())
			}
			var rows [][]string
			for _, derived := range loaded.Derived() {
				rows = append(rows, []string{derived.Key, fmt.Sprint(derived.Value), derived.Formula})
			}
			return printTable(os.Stdout, []string{"key", "value", "from"}, rows)
		},
	}
	command.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	addConfigFlags(command)
	return command
}
