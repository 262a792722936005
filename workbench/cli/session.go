package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tandem/workbench/lab"
	"tandem/workbench/repl"
	"tandem/workbench/session"
)

func sessionCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "session",
		Short: "The process that keeps models and trainings between notebook cells",
		Long: `A session is a process that keeps the device, loaded models, compiled programs and running trainings while notebook
cells and terminals come and go. It starts when it is first needed, serves the runs folder below the working directory,
and stops when it was idle for half an hour ($` + lab.IdleVariable + `: another time, or never).`,
		Args: subCommand("serve, status, stop and watch"),
		RunE: func(command *cobra.Command, _ []string) error { return command.Help() },
	}
	command.AddCommand(sessionServeCommand(), sessionStatusCommand(), sessionStopCommand(), sessionWatchCommand())
	return command
}

func sessionServeCommand() *cobra.Command {
	var idle string
	command := &cobra.Command{
		Use:   "serve",
		Short: "Be the session of this folder, until it is idle or stopped",
		Args:  atMost(0, "no argument"),
		RunE: func(command *cobra.Command, _ []string) error {
			say := func(line string) { fmt.Fprintln(os.Stderr, time.Now().Format(time.DateTime)+": "+line) }
			err := lab.ServeSession(command.Context(), idle, say)
			if errors.Is(err, session.ErrServed) { // as good as serving it
				say(err.Error())
				return nil
			}
			return err
		},
	}
	command.Flags().StringVar(&idle, "idle", "", "stop after this time without work, such as 2h, or never; $"+lab.IdleVariable+" or 30m without it")
	return command
}

func sessionStatusCommand() *cobra.Command {
	var asJSON bool
	command := &cobra.Command{
		Use:   "status",
		Short: "Show what the session holds and does",
		Args:  atMost(0, "no argument"),
		RunE: func(command *cobra.Command, _ []string) error {
			found, err := lab.AttachRunning(command.Context(), sayErr)
			if err != nil {
				return err
			}
			defer found.Close()
			status, err := found.Status(command.Context())
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(os.Stdout, status)
			}
			return repl.WriteStatus(os.Stdout, status)
		},
	}
	command.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return command
}

func sayErr(line string) { fmt.Fprintln(os.Stderr, line) }

func sessionStopCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "stop [RUN]",
		Short: "Stop the session, or only its training of RUN; a checkpoint is saved first",
		Args:  atMost(1, "one RUN"),
		RunE: func(command *cobra.Command, arguments []string) error {
			found, err := lab.AttachRunning(command.Context(), func(string) {}) // that it runs other code is no news here
			if err != nil {
				return err
			}
			defer found.Close()
			if len(arguments) == 0 {
				return stopSession(command.Context(), found)
			}
			training, err := found.StopTraining(command.Context(), arguments[0])
			if err != nil {
				return err
			}
			return reportEnd(training)
		},
	}
}

func stopSession(ctx context.Context, found *session.Client) error {
	status, err := found.Status(ctx)
	if err != nil {
		return err
	}
	if err := found.Shutdown(ctx); err != nil {
		return err
	}
	line := fmt.Sprintf("stopped the session of process %d", found.Process().PID)
	if training, running := status.Training(); running {
		line += fmt.Sprintf("; %s can be continued with: workbench train --resume --run %s", training.Run, lab.Reference(training.Run, training.Folder))
	}
	fmt.Println(line)
	return nil
}

func sessionWatchCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "watch [RUN]",
		Short: "Show a training of the session from its first step, until it ends; Ctrl-C leaves it running",
		Args:  atMost(1, "one RUN"),
		RunE: func(command *cobra.Command, arguments []string) error {
			found, err := lab.AttachRunning(command.Context(), sayErr)
			if err != nil {
				return err
			}
			defer found.Close()
			return watch(command.Context(), found, strings.Join(arguments, ""))
		},
	}
}

// watch shows a training as train does.
func watch(ctx context.Context, w session.Workbench, run string) error {
	view := newProgress(os.Stderr)
	defer view.close()
	for event, err := range w.Watch(ctx, run) {
		if ctx.Err() != nil {
			return fmt.Errorf("watch: %w; the training goes on", ctx.Err())
		}
		if err != nil {
			return err
		}
		if event.Training != nil {
			view.close()
			return reportEnd(*event.Training)
		}
		view.report(lab.EventOf(event))
	}
	return nil
}

// reportEnd says how a training ended; a failed one is an error.
func reportEnd(t session.Training) error {
	text, err := repl.EndText(t)
	if err != nil {
		return err
	}
	fmt.Println(text)
	return nil
}
