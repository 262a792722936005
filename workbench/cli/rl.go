package cli

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"tandem/workbench/config"
	"tandem/workbench/lab"
)

func rlCommand() *cobra.Command {
	var resume, asJSON bool
	var s lab.RLSettings
	command := &cobra.Command{
		Use:   "rl [RUN]",
		Short: "Train a run on rewards of its own answers",
		Long: `Train RUN, the newest run without one, on rewards, into a new run RUN-rl-001: to each question a group of answers is
drawn, and those better than their group become likelier. An answer that ends in the right number, as "#### number", is
worth 1. The calculator may be used.
--data takes arithmetic (the default: sums, differences and products, which need no file), gsm8k (from the hub), and files
or hf:OWNER/NAME with a question and an answer a row, as GSM8K has them.
--resume continues the training RUN from its last checkpoint, as it was begun, with the keys given now.`,
		Args: atMost(1, "one RUN"),
		RunE: func(command *cobra.Command, arguments []string) error {
			view := newProgress(os.Stderr)
			options := lab.RLOptions{Settings: s, Command: os.Args, Say: view.say, Report: view.report}
			loaded, err := rlConfig(command, arguments, resume, &options)
			if err != nil {
				return err
			}
			result, err := lab.RL(command.Context(), loaded, options)
			view.close()
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(os.Stdout, result)
			}
			printRewarded(result)
			return nil
		},
	}
	flags := command.Flags()
	flags.BoolVar(&resume, "resume", false, "continue a training on rewards from its last checkpoint")
	flags.BoolVar(&asJSON, "json", false, "print the result as JSON")
	flags.IntVar(&s.Questions, "questions", 16, "questions of a round")
	flags.IntVar(&s.Group, "group", 16, "answers drawn to each question")
	flags.IntVar(&s.MaxTokens, "max_tokens", 256, "tokens of an answer at most")
	flags.Float64Var(&s.Temperature, "temperature", 1, "of the answers")
	flags.IntVar(&s.TopK, "top_k", 50, "likeliest tokens that answers are drawn from; 0 is all")
	flags.Float64Var(&s.KL, "kl", 0, "weight of the divergence from RUN (0.04 is usual)")
	flags.Float64Var(&s.Clip, "clip", 0, "how far a token's probability may go from that it was drawn with (0.2 is usual)")
	flags.IntVar(&s.Updates, "updates", 1, "steps on the answers of a round; more than 1 need --clip")
	flags.StringVar(&s.Held, "held", "", "questions to measure on, in the words of --data (about 1 in 20 of the data unless given)")
	flags.IntVar(&s.HeldQuestions, "held_questions", 400, "questions to measure on at most")
	flags.IntVar(&s.HeldSamples, "held_samples", 8, "answers drawn to each of them, for pass@k")
	flags.IntVar(&s.Rows, "rows", 0, "answers drawn at once (all of a round, at most 128 on CUDA and 32 elsewhere, unless given)")
	addTuningFlags(command, rlKeys(), lab.RLConfig, rlAnew, "questions, as above (arithmetic unless given)", "optimizer steps (as many as ask each question once unless given)")
	return command
}

// rlSettings are the flags that a resumed training has from its beginning.
var rlSettings = []string{"questions", "group", "max_tokens", "temperature", "top_k", "kl", "clip", "updates", "held", "held_questions", "held_samples", "rows", "run"}

// rlAnew are the keys that lab.RLConfig sets.
var rlAnew = []string{"lr_scale", "weight_decay", "warmup", "warmdown", "final_lr", "spike_limit", "eval_every", "save_every", "sample_every"}

// rlKeys are the configuration's that have a meaning: those of sft but for the number of passes, which goes by the answers,
// and the time, which goes by the steps.
func rlKeys() []string {
	return slices.DeleteFunc(sftKeys(), func(key string) bool {
		return slices.Contains([]string{"accumulate", "minutes", "log_every", "eval_batches", "sample_tokens"}, key)
	})
}

// rlConfig opens the run to train or to continue, and applies the flags to its configuration.
func rlConfig(command *cobra.Command, arguments []string, resume bool, options *lab.RLOptions) (*config.Config, error) {
	if given := slices.IndexFunc(rlSettings, command.Flags().Changed); resume && given >= 0 {
		return nil, usageError{fmt.Errorf("rl --resume: the training has begun: name it as RUN, and leave out --%s; --steps says how long it goes on", rlSettings[given])}
	}
	if !resume {
		if options.Settings.TopK == 0 {
			options.Settings.TopK = -1 // the zero value stands for the default
		}
		if err := options.Settings.Validate(); err != nil {
			return nil, usageError{fmt.Errorf("rl: %w", err)}
		}
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
		loaded = lab.RLConfig(run)
	}
	if err := loaded.Override(configOverrides(command)); err != nil {
		return nil, usageError{err}
	}
	return loaded, nil
}

func printRewarded(r *lab.RLResult) {
	fmt.Printf("%s, trained on rewards from %s after step %d: %d steps, %d answers of %.1f tokens in %.0f s, %.1f a second (%.0f%% of the time)\n",
		r.Name, r.Parent.Run, r.Parent.Step, r.Steps, r.Rollouts, float64(r.Drawn)/float64(max(1, r.Rollouts)), r.Seconds,
		float64(r.Rollouts)/r.RollSeconds, 100*r.RollSeconds/r.Seconds)
	fmt.Printf("reward of the last round %.3f\n", r.Reward)
	if len(r.After) > 0 {
		var words []string
		for _, name := range slices.Sorted(maps.Keys(r.After)) {
			words = append(words, fmt.Sprintf("%s %.3f (before: %.3f)", name, r.After[name], r.Before[name]))
		}
		fmt.Printf("held out: %s\n", strings.Join(words, ", "))
	}
	fmt.Printf("\n%s\n\ntalk to it: workbench chat %s\n", r.Sample, r.Run.Reference())
}
