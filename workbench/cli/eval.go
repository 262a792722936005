package cli

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"tandem/workbench/lab"
	"tandem/workbench/repl"
)

func evalCommand() *cobra.Command {
	var o lab.EvalOptions
	var backend, compare string
	var asJSON bool
	command := &cobra.Command{
		Use:   "eval [RUN]",
		Short: "Measure what a run has learned",
		Long: `Evaluate the newest checkpoint of RUN, a name under runs/ or a path; the newest run without one. The report, with
95 % confidence intervals, is written to RUN/eval/STEP/report.md and report.json, and printed.

Tasks are ` + lab.EvalTasks() + `.
bpb is bits per byte on text that was trained on and on text held out; core is DCLM's suite of in-context tasks; chat stands
for the last five, which are asked in conversations; godoc asks about the documentation of the Go installation (of one package
as godoc=godoc-chat:PACKAGE), about symbols that a tuning on godoc-chat learns and about those it holds out. Without --tasks it is bpb and all that --data holds. A task's examples
are in NAME.jsonl of --data (also .gz, or NAME/test.jsonl), one object a line, as the data sets publish them:
  arc-easy, arc-challenge  question, choices {text, label}, answerKey
  mmlu                     question, choices, answer (from 0)
  gsm8k                    question, answer (ends in "#### number")
  humaneval                task_id, prompt, entry_point, test
or come from a corpus that --data of train knows, as NAME=SPEC.

humaneval runs Python that the model writes, so it needs --run-code. Programs run in a process of their own, with limits on
time, memory, processes and files and without environment, and on Linux in namespaces without network where homes are hidden
and files read-only. That stops a model's mistakes. It is no wall against an enemy: it does not protect from faults of the
kernel, nor from reading what every user may read.`,
		Args: atMost(1, "one RUN"),
		RunE: func(command *cobra.Command, arguments []string) error {
			run, err := openNamed(arguments)
			if err != nil {
				return err
			}
			if compare != "" {
				if o.Compare, err = lab.OpenRun(compare); err != nil {
					return err
				}
			}
			if o.Limit < 0 || o.Tokens < 0 {
				return usageError{errors.New("eval: --limit and --tokens may not be negative; 0 is the default")}
			}
			view := &evalProgress{progress: newProgress(os.Stderr)}
			o.Say, o.Count = view.say, view.count
			report, err := lab.Evaluate(command.Context(), run, backend, o)
			view.close()
			if report == nil {
				return err
			}
			return errors.Join(printReport(report, asJSON), err)
		},
	}
	flags := command.Flags()
	flags.StringSliceVar(&o.Tasks, "tasks", nil, "tasks, with commas between")
	flags.StringVar(&o.Data, "data", "", "folder with the tasks' files")
	flags.StringVar(&o.Bundle, "core", "", "CORE's bundle: a folder, a .zip, or an address, with #sha256=… after it to be checked")
	flags.StringVar(&o.Corpus, "corpus", "", "text that bits per byte are measured on (the run's own unless given)")
	flags.IntVar(&o.Limit, "limit", 0, "examples of a task at most; 0 is all")
	flags.IntVar(&o.Tokens, "tokens", 0, "tokens of each split that bits per byte are measured on; 0 is as in training")
	flags.BoolVar(&o.RunCode, "run-code", false, "run the programs that the model writes, in a sandbox; see above what that does not protect from")
	flags.IntVar(&o.Answers.Samples, "samples", 1, "answers to each question of gsm8k and humaneval, for pass@k")
	flags.IntVar(&o.Answers.Tokens, "answer_tokens", 512, "tokens of an answer at most")
	flags.Float64Var(&o.Answers.Sampling.Temperature, "temperature", 0, "0 takes the likeliest token each time")
	flags.IntVar(&o.Answers.Sampling.TopK, "top_k", 50, "choose among so many tokens; 0 is all")
	flags.Uint64Var(&o.Answers.Sampling.Seed, "seed", 0, "seed of the draws")
	flags.StringVar(&compare, "compare", "", "run to compare with, example by example; it must have been evaluated")
	flags.StringVar(&backend, "backend", "auto", "auto, go, cpu, cuda, or a GoMLX configuration")
	flags.BoolVar(&asJSON, "json", false, "print JSON")
	command.AddCommand(probesCommand())
	return command
}

// evalProgress counts examples: a bar on a terminal, elsewhere a line now and then.
type evalProgress struct {
	*progress
	task string
	last time.Time
}

func (p *evalProgress) count(task string, done, all int) {
	if task != p.task {
		p.close()
		p.task, p.last = task, time.Now()
		if p.terminal {
			p.bar = progressbar.NewOptions(all, progressbar.OptionSetWriter(p.out), progressbar.OptionSetWidth(24),
				progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetDescription(task))
		}
	}
	if p.bar != nil {
		p.bar.Set(done)
	} else if time.Since(p.last) > 5*time.Second {
		p.last = time.Now()
		p.say(fmt.Sprintf("%s: %d of %d", task, done, all))
	}
}

func printReport(report *lab.EvalReport, asJSON bool) error {
	if asJSON {
		return printJSON(os.Stdout, report)
	}
	if err := repl.WriteTable(os.Stdout, lab.EvalHeading, report.Rows()); err != nil {
		return err
	}
	for _, result := range report.Results {
		if result.Note != "" {
			fmt.Printf("%s: %s\n", result.Task, result.Note)
		}
	}
	for _, mean := range report.Means {
		fmt.Printf("%s %.4f (%.4f to %.4f), the mean of %d centred values\n", mean.Name, mean.Value, mean.Interval.Low, mean.Interval.High, mean.Tasks)
	}
	if report.Comparison == nil {
		return nil
	}
	fmt.Printf("\ncompared with %s, step %d\n", report.Comparison.Other, report.Comparison.Step)
	return repl.WriteTable(os.Stdout, lab.EvalCompareHeader, report.Comparison.TableRows())
}

func probesCommand() *cobra.Command {
	var s lab.ProbeSettings
	var backend, folder string
	var asJSON bool
	command := &cobra.Command{
		Use:   "probes",
		Short: "Compare patterns on synthetic tasks that separate attention from state",
		Long: `Train a small model of each pattern on synthetic tasks, all of equal size, and measure them at several lengths. The tasks are
` + lab.ProbeNames() + `. The table, the numbers and a plot of each go to --out.

The defaults are for a processor. A larger study, for a GPU:
  workbench eval probes --patterns T4,M4,TMTM --width 256 --length 256 --lengths 64,128,256,512,1024,2048 --steps 6000 --batch 64`,
		Args: atMost(0, "no argument"),
		RunE: func(command *cobra.Command, _ []string) error {
			study, err := lab.RunProbes(command.Context(), s, backend, folder, func(line string) { fmt.Fprintln(os.Stderr, line) })
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(os.Stdout, study)
			}
			for _, name := range study.Settings.Probes {
				heading := study.Heading()
				heading[0] = strings.ToUpper(name)
				if err := repl.WriteTable(os.Stdout, heading, study.Rows(name)); err != nil {
					return err
				}
				fmt.Println()
			}
			fmt.Fprintln(os.Stderr, "study in "+folder)
			return nil
		},
	}
	flags := command.Flags()
	flags.StringSliceVar(&s.Patterns, "patterns", nil, "patterns, with commas between; the first one sets the size of all (T2,M2,TM unless given)")
	flags.StringSliceVar(&s.Probes, "probes", nil, "tasks, with commas between (all unless given)")
	flags.IntVar(&s.Width, "width", 0, "width of the first pattern, a multiple of 8; with attention, of 8 times its heads, one for each 64 (64 unless given)")
	flags.IntVar(&s.Length, "length", 0, "tokens of the longest sequences in training (64 unless given)")
	flags.IntSliceVar(&s.Lengths, "lengths", nil, "tokens of the sequences measured (half to four times --length unless given)")
	flags.IntVar(&s.Steps, "steps", 0, "steps of each training (1000 unless given)")
	flags.IntVar(&s.Batch, "batch", 0, "sequences of a step (32 unless given)")
	flags.IntVar(&s.Examples, "examples", 0, "sequences measured at each length (256 unless given)")
	flags.IntVar(&s.Seeds, "seeds", 0, "trainings of each model (1 unless given)")
	flags.StringVar(&folder, "out", "probes", "new folder for the study")
	flags.StringVar(&backend, "backend", "auto", "auto, go, cpu, cuda, or a GoMLX configuration")
	flags.BoolVar(&asJSON, "json", false, "print JSON")
	return command
}
