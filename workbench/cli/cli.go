// Package cli owns the command line: sub-commands (one file each), flags, help, progress and exit codes. It wires lab, bench
// and config to a terminal and holds no logic of its own. It never imports notebook.
package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"tandem/workbench/bench"
	"tandem/workbench/config"
	"tandem/workbench/lab"
	"tandem/workbench/repl"
)

// Exit codes.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130
)

// usageError is a mistake on the command line: exit code 2.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// Main runs the program with the arguments after its name and returns its exit code.
func Main(arguments []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A second Ctrl-C ends the program at once.
	context.AfterFunc(ctx, stop)

	root := newRoot()
	root.SetArgs(arguments)
	err := root.ExecuteContext(ctx)
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, lab.ErrInterrupted), errors.Is(err, context.Canceled):
		fmt.Fprintln(os.Stderr, "workbench: "+strings.ReplaceAll(repl.OneLine(err), context.Canceled.Error(), "interrupted"))
		return exitInterrupted
	}
	fmt.Fprintln(os.Stderr, "workbench: "+repl.OneLine(err))
	if debug, _ := root.PersistentFlags().GetBool("debug"); debug {
		fmt.Fprintf(os.Stderr, "%+v\n%s\n", err, lab.Stack(err))
	}
	if errors.As(err, &usageError{}) || errors.As(err, &bench.Mistake{}) {
		return exitUsage
	}
	return exitFailed
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "workbench",
		Short:         "A workbench for language models of transformer and Mamba blocks",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args: func(_ *cobra.Command, arguments []string) error {
			if len(arguments) > 0 {
				return usageError{fmt.Errorf("unknown command %q; workbench --help lists them", arguments[0])}
			}
			return nil
		},
		RunE: func(command *cobra.Command, _ []string) error { return command.Help() },
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.PersistentFlags().Bool("debug", false, "print the stack of an error")
	root.SetFlagErrorFunc(func(command *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; %s --help lists the flags", err, command.CommandPath())}
	})
	root.AddCommand(speedrunCommand(), trainCommand(), sftCommand(), rlCommand(), evalCommand(), sampleCommand(), chatCommand(), replCommand(), serveCommand(), paramsCommand(), memoryCommand(), configCommand(), runsCommand(), exportCommand(), sessionCommand(), tokenizerCommand(), dataCommand(), notebookCommand(), benchCommand(), doctorCommand())
	return root
}

// atMost is a positional-arguments check that gives exit code 2.
func atMost(count int, what string) cobra.PositionalArgs {
	return func(command *cobra.Command, arguments []string) error {
		if len(arguments) > count {
			return usageError{fmt.Errorf("%s: unexpected %q; it takes %s", called(command), arguments[count], what)}
		}
		return nil
	}
}

// subCommand is the check of a command that only has others below it, the known ones: what reaches it as an argument is none of them.
func subCommand(known string) cobra.PositionalArgs {
	return func(command *cobra.Command, arguments []string) error {
		if len(arguments) > 0 {
			return usageError{fmt.Errorf("%s: unknown command %q; there are %s", called(command), arguments[0], known)}
		}
		return nil
	}
}

// called is a command as its errors name it: without the program, whose name stands before every error.
func called(command *cobra.Command) string {
	return strings.TrimPrefix(command.CommandPath(), command.Root().Name()+" ")
}

// addConfigFlags gives a command one flag per configuration key.
func addConfigFlags(command *cobra.Command) { addFlags(command, config.Keys()) }

// addModelFlags gives a command a flag for each key of the model, and some others.
func addModelFlags(command *cobra.Command, others ...string) {
	addFlags(command, append(config.ModelKeys(), others...))
}

func addFlags(command *cobra.Command, keys []string) {
	for _, key := range keys {
		command.Flags().String(key, "", config.Describe(key))
	}
	command.Flags().SortFlags = true
}

// configOverrides lists the configuration flags that were given, as KEY=VALUE.
func configOverrides(command *cobra.Command) []string {
	var overrides []string
	for _, key := range config.Keys() {
		if flag := command.Flags().Lookup(key); flag != nil && flag.Changed {
			overrides = append(overrides, key+"="+flag.Value.String())
		}
	}
	return overrides
}

// loadConfig reads the configuration that a command line names.
func loadConfig(command *cobra.Command, arguments []string) (*config.Config, error) {
	name := ""
	if len(arguments) > 0 {
		name = arguments[0]
	}
	loaded, err := config.Load(name, configOverrides(command))
	if err != nil {
		return nil, usageError{err}
	}
	return loaded, nil
}
