package cli

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"tandem/workbench/config"
	"tandem/workbench/lab"
)

func sftCommand() *cobra.Command {
	var resume, cold, asJSON bool
	var epochs int
	var tasks lab.EvalOptions
	command := &cobra.Command{
		Use:   "sft [RUN]",
		Short: "Tune a run on conversations",
		Long: `Tune RUN, the newest run without one, on conversations, into a new run RUN-sft-001: the assistant's text is learned.
--data takes godoc-chat (questions about the Go documentation, the default), godoc-chat:PACKAGE, .jsonl, .json and .parquet
files, folders, globs and hf:OWNER/NAME, with conversations as ` + lab.ConversationFormats() + `;
several with commas between.
--resume continues the tuning RUN from its last checkpoint, with its own configuration and the flags given now.`,
		Args: atMost(1, "one RUN"),
		RunE: func(command *cobra.Command, arguments []string) error {
			view := newProgress(os.Stderr)
			options := lab.TuneOptions{Epochs: epochs, Cold: cold, Tasks: tasks, Command: os.Args, Say: view.say, Report: view.report}
			loaded, err := sftConfig(command, arguments, resume, &options)
			if err != nil {
				return err
			}
			result, err := lab.Tune(command.Context(), loaded, options)
			view.close()
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(os.Stdout, result)
			}
			printTuned(result)
			return nil
		},
	}
	flags := command.Flags()
	flags.BoolVar(&resume, "resume", false, "continue a tuning from its last checkpoint")
	flags.BoolVar(&cold, "cold", false, "begin with a new optimizer, not with the run's own")
	flags.IntVar(&epochs, "epochs", 0, "how often each conversation is learned, 1 unless given; --steps says it in steps")
	flags.StringSliceVar(&tasks.Tasks, "tasks", nil, "tasks to score after each validation, in the words of eval")
	flags.StringVar(&tasks.Data, "tasks_data", "", "folder with the tasks' files")
	flags.IntVar(&tasks.Limit, "tasks_limit", 24, "examples of a task at most; 0 is all")
	flags.IntVar(&tasks.Answers.Tokens, "tasks_tokens", 256, "tokens of an answer at most, where a task asks for one")
	flags.BoolVar(&asJSON, "json", false, "print the result as JSON")
	addTuningFlags(command, sftKeys(), lab.TuneConfig, sftAnew, "conversations, as above (godoc-chat unless given)", "optimizer steps (as many as the epochs take unless given)")
	return command
}

// sftAnew are the keys that lab.TuneConfig sets.
var sftAnew = []string{"minutes", "lr_scale", "weight_decay", "warmup", "warmdown", "final_lr"}

// addTuningFlags adds the keys of a configuration, with what some mean where a run is trained further. The default of those in
// anew is what begin sets; of the others it is the run's.
func addTuningFlags(command *cobra.Command, keys []string, begin func(*lab.Run) *config.Config, anew []string, data, steps string) {
	flags, usual := command.Flags(), config.Default()
	values := map[string]any{}
	for _, row := range begin(&lab.Run{Info: lab.Info{Config: &usual}}).Derived() {
		values[row.Key] = row.Value
	}
	for _, key := range keys {
		about, _, _ := strings.Cut(config.Describe(key), " (")
		from := "the run's"
		if slices.Contains(anew, key) {
			from = fmt.Sprint(values[key])
		}
		flags.String(key, "", about+" ("+from+" unless given)")
	}
	flags.Lookup("data").Usage = data
	flags.Lookup("run").Usage = "name under runs/, or path, of the new run's folder"
	flags.Lookup("steps").Usage = steps
	flags.Lookup("sample_prompt").Usage = "question that samples answer (the first that is held out unless given)"
}

// sftKeys are the configuration's but for those of the architecture, which is the run's.
func sftKeys() []string {
	keys := config.Keys()
	return append([]string{"run"}, keys[slices.Index(keys, "data"):]...)
}

// sftConfig opens the run to tune or to continue, and applies the flags to its configuration.
func sftConfig(command *cobra.Command, arguments []string, resume bool, options *lab.TuneOptions) (*config.Config, error) {
	given := command.Flags().Changed
	switch {
	case resume && (given("epochs") || given("cold") || given("run")):
		return nil, usageError{errors.New("sft --resume: the tuning has begun: name it as RUN, and leave out --run, --epochs and --cold; --steps says how long it goes on")}
	case given("epochs") && given("steps"):
		return nil, usageError{errors.New("sft: --epochs and --steps both say how long to train; give one")}
	case given("epochs") && options.Epochs < 1:
		return nil, usageError{fmt.Errorf("sft: --epochs %d: must be at least 1", options.Epochs)}
	}
	run, err := openNamed(arguments)
	if err != nil {
		return nil, err
	}
	loaded := run.Info.Config
	if resume {
		options.Resume = run
	} else {
		options.Parent = run
		loaded = lab.TuneConfig(run)
	}
	if err := loaded.Override(configOverrides(command)); err != nil {
		return nil, usageError{err}
	}
	return loaded, nil
}

// openNamed opens the run that a command line names, or the newest.
func openNamed(arguments []string) (*lab.Run, error) {
	if len(arguments) == 0 {
		return lab.OpenRun("")
	}
	return lab.OpenRun(arguments[0])
}

func printTuned(r *lab.TuneResult) {
	fmt.Printf("%s, tuned from %s after step %d: %d steps, %.2f epochs, %.2fM tokens in %.0f s, %.1f%% of positions used\n",
		r.Name, r.Parent.Run, r.Parent.Step, r.Steps, r.Epochs, float64(r.Tokens)/1e6, r.Seconds, 100*r.Utilisation)
	if r.BPB > 0 {
		fmt.Printf("validation %.3f bits per byte of the assistant's text (before: %.3f)\n", r.BPB, r.BaseBPB)
	}
	fmt.Printf("%s\n\n%s\n\ntalk to it: workbench chat %s\n", r.Conversations, r.Sample, r.Run.Reference())
}
