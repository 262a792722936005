package cli

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"tandem/workbench/config"
	"tandem/workbench/lab"
	"tandem/workbench/repl"
	"tandem/workbench/speedrun"
)

func speedrunCommand() *cobra.Command {
	var o speedrun.Options
	var dryRun, asJSON bool
	command := &cobra.Command{
		Use:   "speedrun",
		Short: "Make a chat from nothing: tokenizer, base, tuning, evaluation, report",
		Long: `Make a chat from nothing in the stages ` + strings.Join(speedrun.Stages, ", ") + `.
--depth or --pattern is the one dial: it sets the model's shape, and from that follow batch, steps, learning rates and decay,
as in nanochat. The plan is printed first, each value with its formula, and what it takes; --dry-run prints that alone and
writes nothing. --minutes bounds the steps of the base by time. Every key of the configuration is also a flag, and replaces
what would be derived.

Called again, the same command skips finished stages and goes on with an interrupted one. Its folder runs/NAME holds
speedrun.json, report.md and report.json; the runs beside it are NAME-base and NAME-sft.`,
		Args: atMost(0, "no argument"),
		RunE: func(command *cobra.Command, _ []string) error {
			view := &speedrunProgress{evalProgress: evalProgress{progress: newProgress(os.Stderr)}}
			o.Name, _ = command.Flags().GetString("run")
			o.Overrides = speedrunOverrides(command)
			o.Command, o.Say, o.Report, o.Count = os.Args, view.say, view.reportEach, view.count
			if err := o.Validate(); err != nil {
				return usageError{err}
			}
			if dryRun {
				plan, err := speedrun.MakePlan(command.Context(), o)
				if err != nil {
					return err
				}
				return printPlan(plan, asJSON)
			}
			var printed error
			o.Planned = func(plan speedrun.Plan) {
				if !asJSON {
					printed = printPlan(plan, false)
				}
			}
			report, err := speedrun.Make(command.Context(), o)
			view.close()
			switch {
			case err != nil:
				return err
			case printed != nil:
				return printed
			case asJSON:
				return printJSON(os.Stdout, report)
			}
			fmt.Printf("\n%s\n", report)
			return nil
		},
	}
	flags := command.Flags()
	flags.StringSliceVar(&o.Stages, "stages", nil, "stages to do, with commas between (all unless given)")
	flags.Float64Var(&o.Ratio, "ratio", 0, fmt.Sprintf("tokens of the base for each parameter in matrices and head (%d unless given)", config.DefaultRatio))
	flags.StringVar(&o.GPU, "gpu", "", "card that the plan is for, such as rtx4090 or h100; this machine's unless given")
	flags.StringVar(&o.Conversations, "conversations", "", "conversations to tune on, in the words of sft --data (godoc-chat unless given)")
	flags.IntVar(&o.Epochs, "epochs", 0, "how often each conversation is learned, 1 unless given")
	flags.StringSliceVar(&o.Tasks, "tasks", nil, "tasks to evaluate, in the words of eval (bpb, and what --tasks_data holds, unless given)")
	flags.StringVar(&o.TasksData, "tasks_data", "", "folder with the tasks' files")
	flags.IntVar(&o.Limit, "tasks_limit", 0, "examples of a task at most; 0 is all")
	flags.BoolVar(&dryRun, "dry-run", false, "print the plan and write nothing")
	flags.BoolVar(&asJSON, "json", false, "print the plan of --dry-run, or else the report, as JSON")
	addConfigFlags(command)
	for _, key := range []string{"vocab", "context", "steps", "batch", "accumulate", "checkpoint", "lr_scale", "weight_decay", "warmdown", "save_every", "eval_every"} {
		about, _, _ := strings.Cut(flags.Lookup(key).Usage, " (")
		flags.Lookup(key).Usage = about + " (the plan's unless given)"
	}
	flags.Lookup("run").Usage = "name under runs/, or path, of the speedrun's folder (speedrun-dDEPTH unless given)"
	flags.Lookup("minutes").Usage = "time of the base's steps, at the speed that is measured or predicted (3 without a GPU unless given)"
	return command
}

// speedrunProgress shows several trainings, each with a bar of its own.
type speedrunProgress struct {
	evalProgress
	steps int
}

func (p *speedrunProgress) reportEach(e lab.Event) {
	if e.Steps != p.steps {
		p.close()
		p.steps = e.Steps
	}
	p.report(e)
}

// speedrunOverrides are the configuration flags that were given, but for the name, which is not the configuration's here.
func speedrunOverrides(command *cobra.Command) (overrides []string) {
	for _, pair := range configOverrides(command) {
		if !strings.HasPrefix(pair, "run=") {
			overrides = append(overrides, pair)
		}
	}
	return overrides
}

func printPlan(plan speedrun.Plan, asJSON bool) error {
	if asJSON {
		return printJSON(os.Stdout, plan)
	}
	where := plan.Backend
	if plan.Card != "" {
		where += ", " + plan.Card
	}
	fmt.Printf("%s: %s on %s; text %s, conversations %s; runs %s and %s\n\n",
		plan.Name, plan.Pattern, where, plan.Config.Data, plan.Conversations, plan.Base, plan.Tuned)
	return repl.WriteTable(os.Stdout, speedrun.PlanHeading, plan.Rows())
}
