package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"tandem/workbench/lab"
)

// onTerminal holds a conversation on the terminal, which is in raw mode throughout, so that Ctrl-C is a key and no
// signal.
func onTerminal(ctx context.Context, t *talk) error {
	before, err := term.MakeRaw(int(os.Stdin.Fd()))
	if err != nil {
		return fmt.Errorf("chat: prepare the terminal: %w; give --prompt, or messages on standard input", err)
	}
	defer term.Restore(int(os.Stdin.Fd()), before)
	file, err := lab.ChatHistoryFile()
	if err != nil {
		file = ""
	}
	c := newConsole(ctx, os.Stdin, os.Stdout, openHistory(file))
	c.size = func() (int, int, error) { return term.GetSize(int(os.Stdout.Fd())) }
	t.out, t.notes = c, c
	return c.converse(ctx, t.line)
}

// console is a terminal in raw mode with a line editor.
type console struct {
	input  *keys
	editor *term.Terminal
	size   func() (width, height int, err error)
}

func newConsole(ctx context.Context, in io.Reader, out io.Writer, past *history) *console {
	input := newKeys(ctx, in)
	editor := term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{input, out}, "> ")
	editor.History = past
	return &console{input, editor, func() (int, int, error) { return 80, 24, nil }}
}

// Write shows text. It keeps control characters, which a model may write too, from the terminal.
func (c *console) Write(text []byte) (int, error) {
	shown := strings.Map(func(r rune) rune {
		if (r < ' ' && r != '\n' && r != '\t') || (r >= 0x7f && r < 0xa0) {
			return '\uFFFD'
		}
		return r
	}, string(text))
	if _, err := io.WriteString(c.editor, shown); err != nil {
		return 0, err
	}
	return len(text), nil
}

// converse reads lines and lets respond answer them until the user leaves.
func (c *console) converse(ctx context.Context, respond func(context.Context, string) error) error {
	c.editor.SetBracketedPasteMode(true)
	defer c.editor.SetBracketedPasteMode(false)
	leaving := false // Ctrl-C was the last thing typed
	for {
		if width, height, err := c.size(); err == nil {
			c.editor.SetSize(width, height)
		}
		line, err := c.editor.ReadLine()
		switch {
		case errors.Is(err, term.ErrPasteIndicator):
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		if c.input.wasInterrupted() {
			if leaving {
				return nil
			}
			leaving = true
			fmt.Fprintln(c, "Ctrl-C again leaves, and so does /quit")
			continue
		}
		leaving = false
		if strings.TrimSpace(line) == "" {
			continue
		}
		if err := c.respond(ctx, respond, unshow(line)); errors.Is(err, errQuit) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// respond answers one line; Ctrl-C stops it. Only the end of the program and /quit are errors, all else is told.
func (c *console) respond(ctx context.Context, respond func(context.Context, string) error, line string) error {
	one, cancel := context.WithCancel(ctx)
	defer cancel()
	c.input.during(cancel)
	err := respond(one, line)
	c.input.during(nil)
	switch {
	case err == nil || errors.Is(err, errQuit):
		return err
	case ctx.Err() != nil:
		return ctx.Err()
	case one.Err() != nil:
		fmt.Fprintln(c, "(stopped)")
	default:
		fmt.Fprintln(c, oneLine(err))
	}
	return nil
}
