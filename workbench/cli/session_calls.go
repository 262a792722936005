package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"tandem/workbench/config"
	"tandem/workbench/lab"
	"tandem/workbench/repl"
	"tandem/workbench/session"
)

// sessionUsage describes the flag --session of commands that can do their work in the session.
const sessionUsage = "let the session do it, which keeps the run loaded and is started if need be; see workbench session"

// trainInSession begins a training in the session and returns.
func trainInSession(ctx context.Context, c *config.Config, o lab.TrainOptions, asJSON bool) error {
	request := session.TrainRequest{Command: o.Command}
	if o.Resume != nil {
		request.Resume = o.Resume.Folder
	}
	var err error
	if request.Config, err = json.Marshal(c); err != nil {
		return fmt.Errorf("train: %w", err)
	}
	found, err := attach(ctx)
	if err != nil {
		return err
	}
	defer found.Close()
	training, err := found.Train(ctx, request)
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(os.Stdout, training)
	}
	fmt.Printf("%s trains in the session; see it with: workbench session watch %s\n", training.Run, lab.Reference(training.Run, training.Folder))
	return nil
}

// sampleInSession lets the session sample, which keeps the run loaded. saved says what that was worth.
func sampleInSession(ctx context.Context, run *lab.Run, backend string, o lab.SampleOptions, emit func(string)) (text, saved string, err error) {
	found, err := attach(ctx)
	if err != nil {
		return "", "", err
	}
	defer found.Close()
	text = o.Prompt
	for piece, err := range found.Sample(ctx, session.SampleRequest{
		ModelRequest: session.ModelRequest{Run: run.Folder, Backend: backend}, Prompt: o.Prompt, Tokens: o.Tokens,
		Sampling: session.Sampling{Temperature: o.Temperature, TopK: o.TopK, TopP: o.TopP, Seed: o.Seed},
	}) {
		if err != nil {
			return text, "", err
		}
		if text += piece.Text; emit != nil {
			emit(piece.Text)
		}
		if u := piece.Usage; u != nil {
			saved = fmt.Sprintf("first token after %s; loading and compiling took %s, and the session saved %s",
				repl.Seconds(u.FirstSeconds), repl.Seconds(u.LoadSeconds+u.CompileSeconds), repl.Seconds(u.SavedSeconds))
		}
	}
	return text, saved, nil
}

// attach reaches the session, starting this program as one if need be.
func attach(ctx context.Context) (session.Workbench, error) { return attachSaying(ctx, sayErr) }

// attachSaying is attach with another place for what is said.
func attachSaying(ctx context.Context, say func(string)) (session.Workbench, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("start a session: %w", err)
	}
	return lab.Attach(ctx, lab.AttachOptions{Program: program, Say: say})
}

// openChat opens a run to answer one conversation, here or in the session.
func openChat(ctx context.Context, run *lab.Run, f chatFlags, say func(string)) (*lab.Chat, error) {
	if !f.inSession {
		return lab.OpenChat(run, f.backend, lab.EngineOptions{Rows: 1}, say)
	}
	found, err := attach(ctx)
	if err != nil {
		return nil, err
	}
	return lab.OpenChatIn(ctx, found, run, f.backend)
}

// openService opens a run for many clients, here or in the session.
func openService(ctx context.Context, run *lab.Run, f serveFlags, say func(string)) (*lab.Service, error) {
	if !f.inSession {
		return lab.OpenService(run, f.backend, f.options, say)
	}
	found, err := attach(ctx)
	if err != nil {
		return nil, err
	}
	return lab.OpenServiceIn(ctx, found, run, f.backend, f.options.Queue)
}
