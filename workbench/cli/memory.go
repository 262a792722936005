package cli

import (
	"errors"
	"os"

	"github.com/spf13/cobra"

	"tandem/workbench/lab"
	"tandem/workbench/repl"
)

func memoryCommand() *cobra.Command {
	var gpuName string
	var asJSON bool
	command := &cobra.Command{
		Use:   "memory [CONFIG]",
		Short: "Predict a training's memory and speed on a GPU, and the memory of inference",
		Args:  atMost(1, "one CONFIG"),
		RunE: func(command *cobra.Command, arguments []string) error {
			loaded, err := loadConfig(command, arguments)
			if err != nil {
				return err
			}
			var gpu *lab.GPU
			if command.Flags().Changed("gpu") {
				found, err := lab.FindGPU(gpuName)
				if err != nil {
					return usageError{err}
				}
				gpu = &found
			}
			report, err := lab.Memory(loaded, gpu)
			if err != nil && !errors.Is(err, lab.ErrTooSmall) {
				return err
			}
			if asJSON {
				return errors.Join(printJSON(os.Stdout, report), err)
			}
			return errors.Join(repl.WriteMemory(os.Stdout, report), err)
		},
	}
	command.Flags().StringVar(&gpuName, "gpu", "", "a card such as rtx3060, 4090, l4 or h100, or auto for this machine's")
	command.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	addModelFlags(command, "batch", "accumulate", "checkpoint")
	command.AddCommand(memoryStates())
	return command
}
