package cli

import (
	"cmp"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"tandem/workbench/lab"
)

func sampleCommand() *cobra.Command {
	var o lab.SampleOptions
	var backend string
	var asJSON, inSession bool
	command := &cobra.Command{
		Use:   "sample [RUN]",
		Short: "Continue a prompt with a run's newest checkpoint",
		Long:  "Continue a prompt with the newest checkpoint of RUN, a name under runs/ or a path; the newest run without one.",
		Args:  atMost(1, "one RUN"),
		RunE: func(command *cobra.Command, arguments []string) error {
			name := ""
			if len(arguments) > 0 {
				name = arguments[0]
			}
			if err := o.Validate(); err != nil {
				return usageError{err}
			}
			run, err := lab.OpenRun(name)
			if err != nil {
				return err
			}
			first := o.Prompt // printed with the first piece, so that an error before it stands alone
			var unwritten error
			emit := func(piece string) {
				if unwritten == nil {
					_, unwritten = fmt.Print(first, piece)
				}
				first = ""
			}
			if asJSON {
				emit = nil
			}
			say := func(line string) { fmt.Fprintln(os.Stderr, line) }
			text, saved := "", ""
			if inSession {
				text, saved, err = sampleInSession(command.Context(), run, backend, o, emit)
			} else {
				text, err = lab.Sample(command.Context(), run, backend, o, say, emit)
			}
			if err != nil {
				return err
			}
			switch {
			case asJSON:
				err = printJSON(os.Stdout, map[string]any{"run": run.Name, "prompt": o.Prompt, "text": text})
			case unwritten == nil:
				_, unwritten = fmt.Println(first)
			}
			if saved != "" {
				say(saved)
			}
			return cmp.Or(err, unwritten)
		},
	}
	flags := command.Flags()
	flags.StringVar(&o.Prompt, "prompt", "", "text to continue")
	flags.IntVar(&o.Tokens, "tokens", 64, "tokens to add at most")
	flags.Float64Var(&o.Temperature, "temperature", 0.8, "0 takes the likeliest token each time")
	flags.IntVar(&o.TopK, "top_k", 40, "choose among so many tokens; 0 is all")
	flags.Float64Var(&o.TopP, "top_p", 0, "choose among the likeliest tokens that reach this probability; 0 is all")
	flags.Uint64Var(&o.Seed, "seed", 0, "seed of the draws")
	flags.StringVar(&backend, "backend", "auto", "auto, go, cpu, cuda, or a GoMLX configuration")
	flags.BoolVar(&inSession, "session", false, sessionUsage)
	flags.BoolVar(&asJSON, "json", false, "print JSON")
	return command
}
