package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"tandem/workbench/lab"
	"tandem/workbench/repl"
)

// chatFlags are what a chat begins with.
type chatFlags struct {
	prompt, system, backend string
	asJSON, inSession       bool
	options                 lab.ChatOptions
}

func chatCommand() *cobra.Command {
	f := chatFlags{options: repl.DefaultChatOptions()}
	command := &cobra.Command{
		Use:   "chat [RUN]",
		Short: "Talk to a run's newest checkpoint",
		Long: `Talk to the newest checkpoint of RUN, a name under runs/ or a path; the newest run without one.
With --prompt it answers once. Without a terminal every line of standard input is a message, or a command such as /stats.
On a terminal /help lists the commands, and Ctrl-C stops an answer.`,
		Args: atMost(1, "one RUN"),
		RunE: func(command *cobra.Command, arguments []string) error {
			name := ""
			if len(arguments) > 0 {
				name = arguments[0]
			}
			return runChat(command.Context(), name, f, command.Flags().Changed("prompt"))
		},
	}
	flags, sampling := command.Flags(), &f.options.Sampling
	flags.StringVar(&f.prompt, "prompt", "", "answer this and end")
	flags.StringVar(&f.system, "system", "", "system message: what the model should know or be throughout")
	flags.Float64Var(&sampling.Temperature, "temperature", sampling.Temperature, "0 takes the likeliest token each time")
	flags.IntVar(&sampling.TopK, "top_k", sampling.TopK, "choose among so many tokens; 0 is all")
	flags.Float64Var(&sampling.TopP, "top_p", 0, "choose among the likeliest tokens that reach this probability; 0 is all")
	flags.Uint64Var(&sampling.Seed, "seed", 0, "seed of the draws")
	flags.IntVar(&f.options.MaxTokens, "tokens", f.options.MaxTokens, "tokens of an answer at most; 0 is as many as fit")
	flags.StringVar(&f.backend, "backend", "auto", "auto, go, cpu, cuda, or a GoMLX configuration")
	flags.BoolVar(&f.inSession, "session", false, sessionUsage)
	flags.BoolVar(&f.asJSON, "json", false, "print each answer as one line of JSON")
	return command
}

// runChat checks the flags, opens the run and holds the kind of conversation that fits standard input.
func runChat(ctx context.Context, name string, f chatFlags, once bool) error {
	interactive := !once && term.IsTerminal(int(os.Stdin.Fd())) && term.IsTerminal(int(os.Stdout.Fd()))
	switch err := f.options.Validate(); {
	case err != nil:
		return usageError{fmt.Errorf("chat: %w", err)}
	case once && strings.TrimSpace(f.prompt) == "":
		return usageError{errors.New("chat: --prompt is empty; give it some text, or leave it out to type")}
	case interactive && f.asJSON:
		return usageError{errors.New("chat: --json needs --prompt, or messages on standard input")}
	}
	run, err := lab.OpenRun(name)
	if err != nil {
		return err
	}
	say := func(line string) { fmt.Fprintln(os.Stderr, line) }
	opened, err := openChat(ctx, run, f, say)
	if err != nil {
		return err
	}
	defer opened.Close()
	if !opened.Tuned() {
		say(repl.UntunedNote(run.Name))
	}
	f.options.Overflow = opened.Overflow
	talk := &repl.Talk{Session: opened.Session(f.system), Options: f.options, Run: run.Name, Out: os.Stdout, Notes: os.Stderr, JSON: f.asJSON}
	defer talk.Session.Close()
	switch {
	case once:
		return talk.Ask(ctx, f.prompt)
	case interactive:
		say(fmt.Sprintf("%s (%s) on %s; /help lists the commands", run.Name, run.Info.Pattern, opened.Where()))
		file, err := lab.ChatHistoryFile()
		if err != nil { // a chat without a history is one all the same
			file = ""
		}
		return repl.OnTerminal(ctx, talk, file)
	}
	return repl.Lines(ctx, talk, os.Stdin)
}
