package repl

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"tandem/workbench/lab"
)

// Talk is a conversation as a terminal shows it. It takes messages, and commands that begin with a slash.
type Talk struct {
	Session *lab.ChatSession
	Options lab.ChatOptions
	// Run is the run's name.
	Run string
	// Out gets the answers, Notes what commands say.
	Out, Notes io.Writer
	// JSON writes each answer as one line of JSON.
	JSON  bool
	turns uint64 // answers so far, which vary the seed
}

// Line takes a command or a message. Two slashes begin a message that begins with one.
func (t *Talk) Line(ctx context.Context, line string) error {
	if strings.HasPrefix(line, "//") {
		return t.Ask(ctx, line[1:])
	}
	if strings.HasPrefix(line, "/") {
		return t.command(strings.TrimSpace(line[1:]))
	}
	return t.Ask(ctx, line)
}

func (t *Talk) prompt() string        { return "> " }
func (t *Talk) end() bool             { return true }
func (t *Talk) show(console *console) { t.Out, t.Notes = console, console }

func (t *Talk) complete(before string) (names []string) {
	if !strings.HasPrefix(before, "/") || strings.Contains(before, " ") {
		return nil
	}
	for _, command := range slashCommands {
		names = append(names, "/"+command.name)
	}
	return names
}

// Ask sends a message and shows the answer as it comes. Every turn draws with another seed, so that a question asked
// again after /clear can get another answer.
func (t *Talk) Ask(ctx context.Context, message string) error {
	options := t.Options
	options.Sampling.Seed += t.turns
	t.turns++
	out := &keeper{out: t.Out}
	if t.JSON {
		out.out = io.Discard
	}
	view := answerView{out: out}
	var failed error
	for delta, err := range t.Session.Ask(ctx, message, options) {
		if err != nil {
			failed = err
			break
		}
		if view.show(delta); out.err != nil {
			return fmt.Errorf("write the answer: %w", out.err)
		}
	}
	if view.seen || failed == nil {
		view.end()
	}
	if failed != nil {
		return failed
	}
	if out.err != nil {
		return fmt.Errorf("write the answer: %w", out.err)
	}
	if t.JSON {
		return t.printAnswer(message)
	}
	return nil
}

// keeper keeps the first error of a writer, for what is written piece by piece.
type keeper struct {
	out io.Writer
	err error
}

func (k *keeper) Write(text []byte) (int, error) {
	if k.err != nil {
		return 0, k.err
	}
	n, err := k.out.Write(text)
	k.err = err
	return n, err
}

// chatJSON is one answer in JSON.
type chatJSON struct {
	Run     string      `json:"run"`
	Prompt  string      `json:"prompt"`
	Content lab.Content `json:"content"`
	Finish  string      `json:"finish"`
	Usage   usageJSON   `json:"usage"`
}

type usageJSON struct {
	PromptTokens    int     `json:"prompt_tokens"`
	ReusedTokens    int     `json:"reused_tokens"`
	AnswerTokens    int     `json:"answer_tokens"`
	FirstSeconds    float64 `json:"first_token_seconds"`
	TokensPerSecond float64 `json:"tokens_per_second"`
	StateBytes      int64   `json:"state_bytes"`
}

func (t *Talk) printAnswer(prompt string) error {
	messages, stats := t.Session.Conversation().Messages, t.Session.Stats()
	encoder := json.NewEncoder(t.Out)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(chatJSON{
		Run: t.Run, Prompt: prompt, Content: messages[len(messages)-1].Content, Finish: stats.Finish,
		Usage: usageJSON{
			PromptTokens: stats.Last.Prompt, ReusedTokens: stats.Last.Reused, AnswerTokens: stats.Last.Answer,
			FirstSeconds: stats.Last.First.Seconds(), TokensPerSecond: stats.Last.TokensPerSecond(), StateBytes: stats.RowBytes,
		},
	})
}

// answerView writes an answer: text as it is, and what a tool ran as [code → output].
type answerView struct {
	out    io.Writer
	inside bool // a bracket is open
	part   int
	seen   bool // part counts
}

func (v *answerView) show(delta lab.ChatDelta) {
	begins := !v.seen || delta.Part != v.part
	v.part, v.seen = delta.Part, true
	if begins {
		switch {
		case delta.Type == lab.PartOutput && v.inside:
			fmt.Fprint(v.out, " → ")
		case delta.Type == lab.PartText && v.inside:
			v.close()
		case delta.Type != lab.PartText:
			v.close()
			fmt.Fprint(v.out, "[")
			v.inside = true
		}
	}
	fmt.Fprint(v.out, delta.Text)
	if delta.Problem != "" {
		fmt.Fprintf(v.out, " → failed: %s", delta.Problem)
	}
}

func (v *answerView) close() {
	if v.inside {
		fmt.Fprint(v.out, "]")
		v.inside = false
	}
}

func (v *answerView) end() {
	v.close()
	fmt.Fprintln(v.out)
}
