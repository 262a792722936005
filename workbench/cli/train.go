package cli

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"tandem/workbench/config"
	"tandem/workbench/lab"
)

func trainCommand() *cobra.Command {
	var resume, detach, asJSON bool
	command := &cobra.Command{
		Use:   "train [CONFIG | RUN --resume]",
		Short: "Train a model",
		Long: `Train a model as a configuration says: one of ` + configNames() + `, or a YAML file; "tiny" without one.
Every key of the configuration is also a flag. --resume continues RUN (also --run RUN; the newest without one) from its
last checkpoint, with its own configuration and the flags given now.`,
		Args: atMost(1, "one CONFIG, or with --resume one RUN"),
		RunE: func(command *cobra.Command, arguments []string) error {
			view := newProgress(os.Stderr)
			options := lab.TrainOptions{Command: os.Args, Say: view.say, Report: view.report}
			var loaded *config.Config
			var err error
			if resume {
				loaded, err = resumedConfig(command, arguments, &options)
			} else {
				loaded, err = loadConfig(command, arguments)
			}
			if err != nil {
				return err
			}
			if detach {
				return trainInSession(command.Context(), loaded, options, asJSON)
			}
			result, err := lab.TrainConfig(command.Context(), loaded, options)
			view.close()
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(os.Stdout, result)
			}
			_, err = fmt.Printf("%s: %d steps, %d parameters, %.2fM tokens in %.0f s (%.1f%% of it waiting for data); validation %.3f bits per byte (a unigram model: %.3f)\n\n%s\n",
				result.Name, result.Steps, result.Parameters, float64(result.Tokens)/1e6, result.Seconds, 100*result.DataWait, result.BPB, result.UnigramBPB, result.Sample)
			return err
		},
	}
	command.Flags().BoolVar(&resume, "resume", false, "continue a run from its last checkpoint")
	command.Flags().BoolVar(&detach, "detach", false, "train in the session, and return at once; see workbench session")
	command.Flags().BoolVar(&asJSON, "json", false, "print the result as JSON")
	addConfigFlags(command)
	return command
}

// resumedConfig opens the run to continue, which is named as sft and rl name it or by --run, and applies the flags to its
// configuration.
func resumedConfig(command *cobra.Command, arguments []string, options *lab.TrainOptions) (*config.Config, error) {
	if name, _ := command.Flags().GetString("run"); name != "" {
		if len(arguments) > 0 {
			return nil, usageError{fmt.Errorf("train --resume: both %q and --run %s name the run to continue, which has its own configuration; give one", arguments[0], name)}
		}
		arguments = []string{name}
	}
	run, err := openNamed(arguments)
	if err != nil {
		if len(arguments) == 0 {
			return nil, err
		}
		if _, none := config.Load(arguments[0], nil); none == nil {
			err = usageError{fmt.Errorf("train --resume: %q is a configuration, and a run to continue has its own; name the run: workbench train RUN --resume", arguments[0])}
		}
		return nil, err
	}
	options.Resume = run
	if err := run.Info.Config.Override(configOverrides(command)); err != nil {
		return nil, usageError{err}
	}
	return run.Info.Config, nil
}
