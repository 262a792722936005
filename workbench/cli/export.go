package cli

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"tandem/workbench/lab"
)

func exportCommand() *cobra.Command {
	var exact, asJSON bool
	command := &cobra.Command{
		Use:   "export RUN FOLDER",
		Short: "Copy a run without what only its training needs",
		Long: `Copy the newest checkpoint of RUN into a new run FOLDER, a name under runs/ or a path: configuration, tokenizer and
weights, the large ones in bfloat16, about a fifth of the checkpoint. The copy can be talked to, sampled from, served and
evaluated, and tuned with sft --cold; it cannot be resumed.`,
		Args: func(command *cobra.Command, arguments []string) error {
			if len(arguments) != 2 {
				return usageError{fmt.Errorf("export: got %d arguments; it takes a RUN and the FOLDER of its copy", len(arguments))}
			}
			return nil
		},
		RunE: func(_ *cobra.Command, arguments []string) error {
			run, err := lab.OpenRun(arguments[0])
			if err != nil {
				return err
			}
			exported, err := lab.Export(run, arguments[1], exact, func(line string) { fmt.Fprintln(os.Stderr, line) })
			switch {
			case err != nil:
				return err
			case asJSON:
				return printJSON(os.Stdout, exported)
			}
			_, err = fmt.Printf("%s holds %s as of step %d: %s parameters in %s\n", exported.Folder, exported.Run, exported.Step,
				lab.Grouped(exported.Parameters), size(exported.Bytes))
			return err
		},
	}
	command.Flags().BoolVar(&exact, "float32", false, "keep the weights as they are in training")
	command.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return command
}
