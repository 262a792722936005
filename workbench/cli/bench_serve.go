package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"tandem/workbench/bench"
	"tandem/workbench/lab"
	"tandem/workbench/repl"
	"tandem/workbench/web"
)

func benchServe() *cobra.Command {
	var load bench.LoadOptions
	var rows int
	var asJSON bool
	command := &cobra.Command{
		Use:   "serve [CONFIG]",
		Short: "Load a server with clients that ask at the same time",
		Long: `Serve a model with random weights, or with --run a run's newest checkpoint, on a free port, and let clients ask it greedy
questions at the same time. Then every question is asked again alone, and the same load is put on the engine itself. --url loads
a server that is already running instead.`,
		Args: atMost(1, "one CONFIG"),
		RunE: func(command *cobra.Command, arguments []string) error {
			if err := load.Validate(); err != nil {
				return usageError{err}
			}
			if rows < 0 {
				return usageError{fmt.Errorf("bench serve: rows %d: may not be negative; 0 is one a client", rows)}
			}
			measure := benchOwnServer
			if load.URL != "" {
				measure = benchOtherServer
			}
			b, err := measure(command, arguments, load, rows)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(os.Stdout, b)
			}
			return printLoad(b)
		},
	}
	flags := command.Flags()
	flags.IntVar(&load.Clients, "clients", 16, "clients that ask at the same time")
	flags.IntVar(&load.Requests, "requests", 2, "questions of each client, one after the other")
	flags.IntVar(&load.Words, "words", 16, "words of a question")
	flags.IntVar(&load.Tokens, "tokens", 64, "tokens of an answer at most")
	flags.StringVar(&load.URL, "url", "", "a running server, such as http://127.0.0.1:8000")
	flags.StringVar(&load.Token, "token", "", "what the server at --url asks for; $"+tokenVariable+" without it")
	flags.IntVar(&rows, "rows", 0, "requests decoded together at most; 0 is one a client")
	flags.BoolVar(&asJSON, "json", false, "print JSON")
	addModelFlags(command, "backend", "run")
	flags.Lookup("run").Usage = "run to serve, by its name or path, instead of random weights"
	return command
}

// benchOtherServer loads one that is running.
func benchOtherServer(command *cobra.Command, arguments []string, load bench.LoadOptions, rows int) (bench.LoadResult, error) {
	if len(arguments)+len(configOverrides(command)) > 0 || rows > 0 {
		return bench.LoadResult{}, usageError{errors.New("bench serve: --url loads a server that has its model; leave out --rows and the configuration")}
	}
	if load.Token == "" {
		load.Token = os.Getenv(tokenVariable)
	}
	return bench.Load(command.Context(), load, nil, sayOnStderr)
}

// benchOwnServer loads a server of its own.
func benchOwnServer(command *cobra.Command, arguments []string, load bench.LoadOptions, rows int) (b bench.LoadResult, err error) {
	loaded, err := loadConfig(command, arguments)
	if err != nil {
		return b, err
	}
	if rows == 0 {
		rows = load.Clients
	}
	options := lab.ServeOptions{Rows: rows, Queue: load.Clients}
	var service *lab.Service
	if loaded.Run != "" {
		others := slices.DeleteFunc(configOverrides(command), func(pair string) bool {
			return strings.HasPrefix(pair, "run=") || strings.HasPrefix(pair, "backend=")
		})
		if len(arguments)+len(others) > 0 {
			return b, usageError{errors.New("bench serve: --run serves a run, which has its model; leave out the configuration")}
		}
		run, err := lab.OpenRun(loaded.Run)
		if err != nil {
			return b, err
		}
		service, err = lab.OpenService(run, loaded.Backend, options, sayOnStderr)
		if err != nil {
			return b, err
		}
	} else if service, err = bench.RandomService(loaded, options, sayOnStderr); err != nil {
		return b, err
	}
	defer service.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return b, err
	}
	server, err := web.New(webOptions(service, "", sayOnStderr))
	if err != nil {
		return b, errors.Join(err, listener.Close())
	}
	serving, stop := context.WithCancel(command.Context())
	served := make(chan error, 1)
	go func() { served <- server.Serve(serving, listener) }()
	load.URL, load.Token = "http://"+listener.Addr().String(), ""
	b, err = bench.Load(command.Context(), load, service, sayOnStderr)
	stop()
	return b, errors.Join(err, <-served)
}

func printLoad(b bench.LoadResult) error {
	problems := ""
	for _, status := range slices.Sorted(maps.Keys(b.Errors)) {
		problems += fmt.Sprintf(", %d of status %s", b.Errors[status], status)
	}
	rows := [][]string{
		{"load", fmt.Sprintf("%d clients, %d questions each, on %s", b.Clients, b.Requests, b.Model)},
		{"answers", fmt.Sprintf("%d%s", b.Answers, problems)},
		{"tokens", fmt.Sprintf("%s of prompts, %s of answers", lab.Grouped(b.PromptTokens), lab.Grouped(b.AnswerTokens))},
		{"speed", fmt.Sprintf("%s tokens/s of answers", lab.Grouped(int(b.TokensPerSecond)))},
		{"first text", fmt.Sprintf("after %.1f ms, %.1f (95%%), %.1f (99%%)", 1000*b.First.P50, 1000*b.First.P95, 1000*b.First.P99)},
		{"same as alone", fmt.Sprintf("%d of %d", b.SameAsAlone, b.Answers)},
	}
	if b.EngineTokensPerSecond > 0 {
		rows = append(rows, []string{"engine itself", fmt.Sprintf("%s tokens/s; the server gives %.0f%% of that", lab.Grouped(int(b.EngineTokensPerSecond)), 100*b.EngineShare)})
	}
	return repl.WriteTable(os.Stdout, []string{"what", "value"}, rows)
}
