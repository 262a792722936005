package cli

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"tandem/workbench/lab"
	"tandem/workbench/repl"
)

func replCommand() *cobra.Command {
	var commands string
	command := &cobra.Command{
		Use:   "repl",
		Short: "The same verbs at a prompt: pattern, memory, train, plot, chat, …",
		Long: `The workbench's verbs at a prompt, with completion and history; help lists them. They work on common settings and
a current run. What is trained there is trained in the session, and goes on when the prompt is left. Without a terminal
every line of standard input is a verb and its arguments, and the first error ends it.`,
		Example: `  workbench repl
  workbench repl --command "pattern T12 M8; memory --gpu rtx4090"`,
		Args: atMost(0, "no argument; verbs go into --command or standard input"),
		RunE: func(command *cobra.Command, _ []string) error {
			lines := []string(nil)
			if command.Flags().Changed("command") {
				var err error
				if lines, err = repl.Commands(commands); err != nil {
					return usageError{fmt.Errorf("repl: --command: %w", err)}
				}
			}
			return runRepl(command.Context(), lines)
		},
	}
	command.Flags().StringVar(&commands, "command", "", "do these verbs, with semicolons between them, and end")
	return command
}

// runRepl takes lines, or where there are none those of the terminal or of standard input.
func runRepl(ctx context.Context, lines []string) (err error) {
	prompt := repl.New(repl.Options{
		Attach: attachSaying, Running: running, Out: os.Stdout, Notes: os.Stderr,
	})
	defer func() {
		if closed := prompt.Close(); err == nil {
			err = closed
		}
	}()
	switch {
	case lines != nil:
		return repl.Lines(ctx, prompt, strings.NewReader(strings.Join(lines, "\n")))
	case !term.IsTerminal(int(os.Stdin.Fd())) || !term.IsTerminal(int(os.Stdout.Fd())):
		return repl.Lines(ctx, prompt, os.Stdin)
	}
	if err := prompt.Greet(ctx); err != nil {
		return err
	}
	file, err := lab.PromptHistoryFile()
	if err != nil { // a prompt without a history is one all the same
		file = ""
	}
	return repl.OnTerminal(ctx, prompt, file)
}

// running reaches the session if there is one.
func running(ctx context.Context, say func(string)) (lab.Workbench, error) {
	if os.Getenv(lab.SessionVariable) == "off" {
		return nil, fmt.Errorf("%w, for %s is off", lab.ErrNoSession, lab.SessionVariable)
	}
	found, err := lab.AttachRunning(ctx, say)
	if err != nil { // not returned as it is, for a nil *Client is no nil Workbench
		return nil, err
	}
	return found, nil
}
