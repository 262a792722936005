package lab

import (
	"fmt"
	"os"
	"strings"

	"tandem/workbench/chat"
	"tandem/workbench/plot"
	"tandem/workbench/session"
)

// AnswerOption says how a model answers.
type AnswerOption func(*session.ChatRequest)

// Temperature divides the logits; 0 takes the likeliest token, and without it is 0.6.
func Temperature(t float64) AnswerOption {
	return func(r *session.ChatRequest) { r.Sampling.Temperature = t }
}

// Tokens is the tokens of an answer at most; without it 64.
func Tokens(count int) AnswerOption { return func(r *session.ChatRequest) { r.Tokens = count } }

// System is what the model should know or be throughout the conversation.
func System(text string) AnswerOption { return func(r *session.ChatRequest) { r.System = text } }

// Talk is a conversation with a run, as a cell holds it.
type Talk struct {
	run     *Run
	request session.ChatRequest
	bench   session.Workbench
	turns   []talkTurn
	err     error
}

// talkTurn is what one answer took.
type talkTurn struct {
	message string
	usage   session.Usage
	tokens  int
}

// Chat asks a run's newest checkpoint a question and shows the answer as it comes. Ask goes on from there. Interrupting the
// cell cuts the answer short.
func (r *Run) Chat(message string, options ...AnswerOption) *Talk {
	t := &Talk{run: r, err: r.err}
	if t.err != nil {
		return t
	}
	t.request = session.ChatRequest{
		ModelRequest: session.ModelRequest{Run: r.Folder, Backend: r.Info.Config.Backend},
		Conversation: fmt.Sprintf("cell-%d", os.Getpid()), Tokens: 64, Sampling: session.Sampling{Temperature: 0.6, TopK: 50},
	}
	for _, option := range options {
		option(&t.request)
	}
	if t.bench, t.err = openBench(false); t.err != nil {
		fail(t.err)
		return t
	}
	t.request.Reset = true
	t.Ask(message)
	t.request.Reset = false
	return t
}

// Ask says something more in the conversation.
func (t *Talk) Ask(message string) *Talk {
	if t.err != nil {
		return t
	}
	ctx, done := interruptible()
	defer done()
	t.request.Message = message
	write, end := display.Ask(message)
	view := pieceView{write: write}
	for piece, err := range t.bench.Chat(ctx, t.request) {
		if err != nil {
			end()
			if ctx.Err() == nil {
				t.err = fail(err)
			}
			return t
		}
		if piece.Usage != nil {
			t.turns = append(t.turns, talkTurn{message: message, usage: *piece.Usage, tokens: piece.Usage.PromptTokens + piece.Usage.AnswerTokens})
			continue
		}
		view.show(piece)
	}
	view.close()
	end()
	return t
}

// Err is why the conversation cannot go on.
func (t *Talk) Err() error { return t.err }

// Close forgets the conversation's state. A cell that ends does so too.
func (t *Talk) Close() error {
	if t.bench == nil {
		return nil
	}
	return t.bench.Close()
}

// Show lists what each turn took, and draws the size of the state as the conversation grew.
func (t *Talk) Show() *Talk {
	if t.err != nil {
		return t
	}
	model, err := t.run.Model()
	if err != nil {
		t.err = fail(err)
		return t
	}
	state := model.StateLine()
	table := Table{Heading: []string{"message", "tokens so far", "of those new to the model", "state", "first token", "tokens/s"}}
	line := plot.Line{Points: true}
	for _, turn := range t.turns {
		u, bytes := turn.usage, float64(state.Fixed+int64(turn.tokens)*state.PerToken)
		table.Rows = append(table.Rows, []string{short(turn.message), Grouped(turn.tokens), Grouped(turn.tokens - u.ReusedTokens), scaled(bytes, "B"),
			fmt.Sprintf("%.2f s", u.FirstSeconds), fmt.Sprintf("%.0f", u.TokensPerSecond)})
		line.X, line.Y = append(line.X, float64(turn.tokens)), append(line.Y, bytes/1e3)
	}
	display.Show(Panel{
		Picture: plot.Curves{Title: "State of this conversation with " + t.run.Info.Pattern, X: "tokens", Y: "kB", Lines: []plot.Line{line}},
		Tables:  []Table{table},
	})
	return t
}

// short is the start of a message.
func short(text string) string {
	const length = 40
	if runes := []rune(text); len(runes) > length {
		return string(runes[:length-1]) + "…"
	}
	return text
}

// pieceView writes an answer: text as it is, and what a tool ran as [code → output].
type pieceView struct {
	write  func(string)
	inside bool
	part   int
	seen   bool
}

func (v *pieceView) show(piece session.Piece) {
	if begins := !v.seen || piece.Part != v.part; begins {
		v.part, v.seen = piece.Part, true
		switch kind := chat.PartType(piece.Type); {
		case kind == chat.Output && v.inside:
			v.write(" → ")
		case kind == chat.Text:
			v.close()
		default:
			v.close()
			v.write("[")
			v.inside = true
		}
	}
	v.write(piece.Text)
	if piece.Problem != "" {
		v.write(" → failed: " + strings.TrimSpace(piece.Problem))
	}
}

func (v *pieceView) close() {
	if v.inside {
		v.write("]")
		v.inside = false
	}
}
