package cli

import (
	"context"
	"fmt"
	"net"
	"os"

	"github.com/spf13/cobra"

	"tandem/workbench/lab"
	"tandem/workbench/web"
)

// serveFlags say what is served to whom.
type serveFlags struct {
	addr, token, backend string
	inSession            bool
	options              lab.ServeOptions
}

// tokenVariable keeps the token off the command line, where other users of the machine can read it.
const tokenVariable = "TANDEM_TOKEN"

func serveCommand() *cobra.Command {
	var f serveFlags
	command := &cobra.Command{
		Use:   "serve [RUN]",
		Short: "Serve a run's newest checkpoint: OpenAI's API and a chat page",
		Long: `Serve the newest checkpoint of RUN, a name under runs/ or a path; the newest run without one.
The chat page is at the address itself, the API at /v1, health at /healthz and Prometheus' metrics at /metrics.
An address that other machines can reach needs a token. Ctrl-C lets running answers end, a second one does not wait.`,
		Args: atMost(1, "one RUN"),
		RunE: func(command *cobra.Command, arguments []string) error {
			name := ""
			if len(arguments) > 0 {
				name = arguments[0]
			}
			if f.token == "" {
				f.token = os.Getenv(tokenVariable)
			}
			return runServe(command.Context(), name, f)
		},
	}
	flags := command.Flags()
	flags.StringVar(&f.addr, "addr", "127.0.0.1:8000", "HOST:PORT to listen on; port 0 takes a free one")
	flags.StringVar(&f.token, "token", "", "what clients must send as a bearer token; $"+tokenVariable+" without it")
	flags.StringVar(&f.backend, "backend", "auto", "auto, go, cpu, cuda, or a GoMLX configuration")
	flags.IntVar(&f.options.Rows, "rows", 0, "requests decoded together at most; 0 is 32 on CUDA and 8 elsewhere")
	flags.BoolVar(&f.inSession, "session", false, sessionUsage)
	flags.IntVar(&f.options.Queue, "queue", 256, "requests that may wait; one more is told to try again")
	return command
}

// runServe serves until ctx ends.
func runServe(ctx context.Context, name string, f serveFlags) error {
	if err := web.CheckAddress(f.addr, f.token); err != nil {
		return usageError{err}
	}
	if f.options.Rows < 0 || f.options.Queue < 0 {
		return usageError{fmt.Errorf("serve: --rows %d, --queue %d: neither may be negative", f.options.Rows, f.options.Queue)}
	}
	if f.inSession && f.options.Rows > 0 {
		return usageError{fmt.Errorf("serve: --rows %d: the session decides that; leave it out with --session", f.options.Rows)}
	}
	run, err := lab.OpenRun(name)
	if err != nil {
		return err
	}
	// The port is taken before the model is loaded: that takes longer, and a taken port is the likelier mistake.
	listener, err := net.Listen("tcp", f.addr)
	if err != nil {
		return fmt.Errorf("serve %s: %w; choose another --addr", run.Name, err)
	}
	defer listener.Close()
	say := func(line string) { fmt.Fprintln(os.Stderr, line) }
	service, err := openService(ctx, run, f, say)
	if err != nil {
		return err
	}
	defer service.Close()
	server, err := web.New(webOptions(service, f.token, say))
	if err != nil {
		return err
	}
	say(service.Summary())
	if !service.Tuned() {
		say(fmt.Sprintf("%s was trained on text, not on conversations: it goes on from what is written rather than answer", run.Name))
	}
	say(fmt.Sprintf("serving %s (%s) on http://%s; Ctrl-C stops", run.Name, run.Info.Pattern, listener.Addr()))
	if err := server.Serve(ctx, listener); err != nil {
		return err
	}
	say("stopped")
	return nil
}

// webOptions hand a service to the web server.
func webOptions(s *lab.Service, token string, say func(string)) web.Options {
	info := web.Info{
		Name: s.Run.Name, Created: s.Run.Info.Created, Pattern: string(s.Run.Info.Config.Model.Pattern), Parameters: s.Run.Info.Parameters,
		Context: s.Context, StateFixedBytes: s.StateFixedBytes, StateTokenBytes: s.StateTokenBytes, Device: s.Where(),
	}
	for _, kind := range s.Kinds {
		info.Kinds = append(info.Kinds, web.Kind{Letter: string(kind.Letter), Name: kind.Name})
	}
	options := web.Options{
		Model: s.Model, Info: info, Token: token, Log: say,
		Limits: web.Limits{Requests: s.Requests, CacheBytes: s.CacheBytes},
	}
	if s.Engine != nil { // a session's is not here
		options.StateBytes = s.Engine.StateBytes
	}
	return options
}
