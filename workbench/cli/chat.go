package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"tandem/workbench/lab"
)

// chatFlags are what a chat begins with.
type chatFlags struct {
	prompt, system, backend string
	asJSON                  bool
	options                 lab.ChatOptions
}

func chatCommand() *cobra.Command {
	var f chatFlags
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
	flags.Float64Var(&sampling.Temperature, "temperature", 0.6, "0 takes the likeliest token each time")
	flags.IntVar(&sampling.TopK, "top_k", 50, "choose among so many tokens; 0 is all")
	flags.Float64Var(&sampling.TopP, "top_p", 0, "choose among the likeliest tokens that reach this probability; 0 is all")
	flags.Uint64Var(&sampling.Seed, "seed", 0, "seed of the draws")
	flags.IntVar(&f.options.MaxTokens, "tokens", 256, "tokens of an answer at most; 0 is as many as fit")
	flags.StringVar(&f.backend, "backend", "auto", "auto, go, cpu, cuda, or a GoMLX configuration")
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
	opened, err := lab.OpenChat(run, f.backend, lab.EngineOptions{Rows: 1}, say)
	if err != nil {
		return err
	}
	defer opened.Close()
	if !opened.Tuned() {
		say(fmt.Sprintf("%s was trained on text, not on conversations: it goes on from what you write rather than answer", run.Name))
	}
	f.options.Overflow = opened.Overflow
	talk := &talk{session: opened.Session(f.system), options: f.options, run: run.Name, out: os.Stdout, notes: os.Stderr, asJSON: f.asJSON}
	defer talk.session.Close()
	switch {
	case once:
		return talk.ask(ctx, f.prompt)
	case interactive:
		say(fmt.Sprintf("%s (%s) on %s; /help lists the commands", run.Name, run.Info.Pattern, opened.Device.Config))
		return onTerminal(ctx, talk)
	}
	return talk.lines(ctx, os.Stdin)
}

// maxLine is the bytes of a line of standard input at most.
const maxLine = 1 << 20

// lines takes a message or a command from each line; empty ones are passed over. The first error ends it.
func (t *talk) lines(ctx context.Context, in io.Reader) error {
	scanner := bufio.NewScanner(in)
	scanner.Buffer(nil, maxLine)
	lines := make(chan string)
	go func() { // waits for input when the program is interrupted, and ends with it
		defer close(lines)
		for scanner.Scan() {
			lines <- scanner.Text()
		}
	}()
	for number := 1; ; number++ {
		select {
		case <-ctx.Done():
			return fmt.Errorf("chat: %w", ctx.Err())
		case line, more := <-lines:
			if !more {
				if err := scanner.Err(); err != nil {
					return fmt.Errorf("chat: read line %d of standard input: %w", number, err)
				}
				return nil
			}
			if strings.TrimSpace(line) == "" {
				continue
			}
			if err := t.line(ctx, line); errors.Is(err, errQuit) {
				return nil
			} else if err != nil {
				return fmt.Errorf("line %d: %w", number, err)
			}
		}
	}
}
