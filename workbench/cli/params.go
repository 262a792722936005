package cli

import (
	"os"

	"github.com/spf13/cobra"

	"tandem/workbench/lab"
	"tandem/workbench/repl"
)

func paramsCommand() *cobra.Command {
	var asJSON bool
	var picture string
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
			if picture != "" {
				if err := lab.CheckPicture(picture); err != nil {
					return usageError{err}
				}
				if err := lab.DrawModel(loaded, picture); err != nil {
					return err
				}
			}
			if asJSON {
				return printJSON(os.Stdout, account)
			}
			return repl.WriteParams(os.Stdout, account)
		},
	}
	command.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	command.Flags().StringVar(&picture, "plot", "", "draw the stack of blocks to this .svg or .png file")
	addModelFlags(command)
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
			return repl.WriteConfig(os.Stdout, loaded)
		},
	}
	command.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	addConfigFlags(command)
	return command
}
