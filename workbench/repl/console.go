package repl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// errQuit ends a loop without being an error.
var errQuit = errors.New("quit")

// Taker takes the lines that are typed: a Talk or a Prompt.
type Taker interface {
	// Line does what a line says. An error is told and ends nothing but the line.
	Line(ctx context.Context, line string) error
	// prompt stands before the next line, and complete lists what the last word of a line may become.
	prompt() string
	complete(before string) []string
	// end is Ctrl-D: true leaves the loop.
	end() bool
	// show says where to write from now on.
	show(console *console)
}

// OnTerminal reads lines from a terminal, with a line editor, and keeps them in a file of history, "" for none. Ctrl-C
// stops what a line began, or drops the line, and the second in a row leaves.
func OnTerminal(ctx context.Context, taker Taker, file string) error {
	before, err := term.MakeRaw(int(os.Stdin.Fd()))
	if err != nil {
		return fmt.Errorf("prepare the terminal: %w; give the lines on standard input", err)
	}
	defer term.Restore(int(os.Stdin.Fd()), before)
	c := newConsole(ctx, os.Stdin, os.Stdout, openHistory(file))
	c.size = func() (int, int, error) { return term.GetSize(int(os.Stdout.Fd())) }
	return c.loop(ctx, taker)
}

// console is a line editor on a terminal in raw mode. What is written to it goes above the line that is edited.
type console struct {
	input  *keys
	screen io.Writer
	editor *term.Terminal
	size   func() (width, height int, err error)
	status bool // a line of status stands where the next text goes
}

func newConsole(ctx context.Context, in io.Reader, out io.Writer, past *history) *console {
	c := &console{input: newKeys(ctx, in), screen: out, size: func() (int, int, error) { return 80, 24, nil }}
	c.edit(past)
	return c
}

// edit begins with a new line editor.
func (c *console) edit(past term.History) {
	c.editor = term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{c.input, c.screen}, "")
	c.editor.History = past
}

// Write shows text. The control characters that a model may have said are not for the terminal to obey.
func (c *console) Write(text []byte) (int, error) {
	c.setStatus("")
	if _, err := io.WriteString(c.editor, harmless(string(text))); err != nil {
		return 0, err
	}
	return len(text), nil
}

func harmless(text string) string {
	return strings.Map(func(r rune) rune {
		if (r < ' ' && r != '\n' && r != '\t') || (r >= 0x7f && r < 0xa0) {
			return '\uFFFD'
		}
		return r
	}, text)
}

// setStatus shows a line in the place of the last one that it showed; "" clears it. It is only called while no line is
// edited.
func (c *console) setStatus(line string) {
	if line == "" && !c.status {
		return
	}
	line = harmless(line)
	width, _, err := c.size()
	if runes := []rune(line); err == nil && width > 0 && len(runes) >= width {
		line = string(runes[:width-1])
	}
	io.WriteString(c.screen, "\r\x1b[K"+line) // an error is the next Write's to tell
	c.status = line != ""
}

// loop takes line after line until Ctrl-D, Ctrl-C twice, or errQuit. Other errors are shown.
func (c *console) loop(ctx context.Context, taker Taker) error {
	taker.show(c)
	c.editor.SetBracketedPasteMode(true)
	defer c.editor.SetBracketedPasteMode(false)
	leaving := false // Ctrl-C was the last thing typed
	for {
		if width, height, err := c.size(); err == nil && width > 0 { // a terminal may not know
			c.editor.SetSize(width, height)
		}
		c.editor.SetPrompt(taker.prompt())
		c.editor.AutoCompleteCallback = func(line string, at int, key rune) (string, int, bool) {
			if key != '\t' {
				return "", 0, false
			}
			return c.completed(taker, line, at)
		}
		line, err := c.editor.ReadLine()
		switch {
		case errors.Is(err, term.ErrPasteIndicator):
		case errors.Is(err, io.EOF):
			io.WriteString(c.screen, "\r\n")
			if c.input.ended() || taker.end() {
				return nil
			}
			c.edit(c.editor.History) // the old one never gets past its Ctrl-D
			continue
		case err != nil:
			return err
		}
		if c.input.wasInterrupted() {
			if leaving {
				return nil
			}
			leaving = true
			fmt.Fprintln(c, "Ctrl-C again leaves, and so does Ctrl-D")
			continue
		}
		leaving = false
		if strings.TrimSpace(line) == "" {
			continue
		}
		if err := c.respond(ctx, taker, unshow(line)); errors.Is(err, errQuit) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// respond answers one line, which Ctrl-C stops.
func (c *console) respond(ctx context.Context, taker Taker, line string) error {
	one, cancel := context.WithCancel(ctx)
	defer cancel()
	c.input.during(cancel)
	err := taker.Line(one, line)
	c.input.during(nil)
	c.setStatus("")
	switch {
	case err == nil || errors.Is(err, errQuit):
		return err
	case ctx.Err() != nil:
		return ctx.Err()
	case one.Err() != nil:
		fmt.Fprintln(c, "(stopped)")
	default:
		fmt.Fprintln(c, OneLine(err))
	}
	return nil
}

// completed puts what the candidates have in common in place of the word before the cursor; where that is no more than
// the word, it lists them.
func (c *console) completed(taker Taker, line string, at int) (string, int, bool) {
	before, after := line[:at], line[at:]
	word := before[strings.LastIndexByte(before, ' ')+1:]
	var fitting []string
	for _, candidate := range taker.complete(before) {
		if strings.HasPrefix(candidate, word) {
			fitting = append(fitting, candidate)
		}
	}
	switch common := commonPrefix(fitting); {
	case len(fitting) == 0:
		return line, at, true
	case len(fitting) == 1:
		word = common + " "
	case common == word:
		fmt.Fprintln(c, strings.Join(fitting, "  "))
		return line, at, true
	default:
		word = common
	}
	before = before[:strings.LastIndexByte(before, ' ')+1] + word
	return before + after, len(before), true
}

func commonPrefix(texts []string) string {
	if len(texts) == 0 {
		return ""
	}
	common := texts[0]
	for _, text := range texts[1:] {
		for !strings.HasPrefix(text, common) {
			common = common[:len(common)-1]
		}
	}
	return strings.ToValidUTF8(common, "")
}

// OneLine keeps an error to one line: what follows a line break is a stack or a drawing.
func OneLine(err error) string {
	line, _, _ := strings.Cut(strings.TrimSpace(err.Error()), "\n")
	return line
}
