package repl

import (
	"context"
	"fmt"
	"io"
	"strconv"

	"tandem/workbench/lab"
)

func (p *Prompt) sample(ctx context.Context, a arguments) error {
	request := lab.SampleRequest{Prompt: a.joined(), Sampling: lab.Sampling{Temperature: 0.8, TopK: 40}}
	if err := readSampling(a, &request); err != nil {
		return fmt.Errorf("sample: %w", err)
	}
	run, err := lab.OpenRun(p.run)
	if err != nil {
		return err
	}
	bench, err := p.attached(ctx)
	if err != nil {
		return err
	}
	request.Run = run.Folder
	io.WriteString(p.out, request.Prompt) // an error is the next write's to tell
	defer fmt.Fprintln(p.out)
	for piece, err := range bench.Sample(ctx, request) {
		if err != nil {
			return err
		}
		if _, err := io.WriteString(p.out, piece.Text); err != nil {
			return err
		}
	}
	return nil
}

// readSampling reads the flags of sample.
func readSampling(a arguments, r *lab.SampleRequest) (err error) {
	count := func(flag string, into *int) {
		if text, given := a.flags[flag]; given && err == nil {
			if *into, err = strconv.Atoi(text); err != nil || *into < 0 {
				err = fmt.Errorf("--%s %q: must be a whole number from 0", flag, text)
			}
		}
	}
	share := func(flag string, into *float64) {
		if text, given := a.flags[flag]; given && err == nil {
			if *into, err = strconv.ParseFloat(text, 64); err != nil {
				err = fmt.Errorf("--%s %q: must be a number such as 0.8", flag, text)
			}
		}
	}
	count("tokens", &r.Tokens)
	count("top_k", &r.Sampling.TopK)
	share("temperature", &r.Sampling.Temperature)
	share("top_p", &r.Sampling.TopP)
	if text, given := a.flags["seed"]; given && err == nil {
		if r.Sampling.Seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			err = fmt.Errorf("--seed %q: must be a whole number from 0", text)
		}
	}
	return err
}

// kept is a workbench that a chat does not close.
type kept struct{ lab.Workbench }

func (kept) Close() error { return nil }

func (p *Prompt) chat(ctx context.Context, a arguments) error {
	if p.talk == nil {
		if err := p.openTalk(ctx); err != nil {
			return err
		}
	}
	if a.text != "" {
		return p.talk.Ask(ctx, a.text)
	}
	p.chatting = true
	p.note("lines are messages to " + p.talk.Run + " now; /help lists the commands, /quit leaves the chat")
	return nil
}

// openTalk begins a conversation with the current run.
func (p *Prompt) openTalk(ctx context.Context) error {
	run, err := lab.OpenRun(p.run)
	if err != nil {
		return err
	}
	bench, err := p.attached(ctx)
	if err != nil {
		return err
	}
	opened, err := lab.OpenChatIn(ctx, kept{bench}, run, "auto")
	if err != nil {
		return err
	}
	p.note(fmt.Sprintf("%s (%s) on %s", run.Name, run.Info.Pattern, opened.Where()))
	if !opened.Tuned() {
		p.note(UntunedNote(run.Name))
	}
	options := DefaultChatOptions()
	options.Overflow = opened.Overflow
	p.talk = &Talk{Session: opened.Session(""), Options: options, Run: run.Name, Out: p.out, Notes: p.notes}
	return nil
}

// DefaultChatOptions are those of an answer in a terminal.
func DefaultChatOptions() lab.ChatOptions {
	o := lab.ChatOptions{MaxTokens: 256}
	o.Sampling.Temperature, o.Sampling.TopK = 0.6, 50
	return o
}

// UntunedNote says what to expect of a run that saw no conversations.
func UntunedNote(run string) string {
	return run + " was trained on text, not on conversations: it goes on from what you write rather than answer"
}
