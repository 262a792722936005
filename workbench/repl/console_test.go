package repl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// typed feeds keys in chunks of some bytes and returns what the editor gets.
func typed(t testing.TB, text string, chunk int) (string, *keys) {
	t.Helper()
	k := &keys{ctx: context.Background(), news: make(chan struct{}, 1)}
	for len(text) > 0 {
		n := min(chunk, len(text))
		k.take([]byte(text[:n]), nil)
		text = text[n:]
	}
	k.take(nil, io.EOF)
	all, err := io.ReadAll(k)
	require.NoError(t, err)
	return string(all), k
}

func TestKeysReachTheEditorTranslated(t *testing.T) {
	for name, test := range map[string]struct{ typed, want string }{
		"plain keys stay":                        {"hé\r", "hé\r"},
		"arrow keys stay":                        {"\x1b[A\x1b[D", "\x1b[A\x1b[D"},
		"Alt-Enter is a line break":              {"a\x1b\rb\r", "a↵b\r"},
		"pasted line breaks are kept":            {pasteStart + "a\rb\nc\r\nd" + pasteEnd + "\r", pasteStart + "a↵b↵c↵d" + pasteEnd + "\r"},
		"pasted control characters are left out": {pasteStart + "a\x03\x1b[31m\tb" + pasteEnd, pasteStart + "a[31m\tb" + pasteEnd},
		"Ctrl-C drops the line":                  {"ab\x03", "ab" + dropLine},
	} {
		t.Run(name, func(t *testing.T) {
			for chunk := 1; chunk <= 7; chunk++ {
				got, _ := typed(t, test.typed, chunk)
				require.Equal(t, test.want, got, "in chunks of %d", chunk)
			}
		})
	}
}

// screen holds a conversation with keys that are typed when the test says so.
type screen struct {
	t     testing.TB
	keys  *io.PipeWriter
	lines chan string
	ended chan error
	out   *syncWriter
}

// syncWriter is what the terminal shows.
type syncWriter struct {
	text chan string
	all  strings.Builder
}

func (w *syncWriter) Write(p []byte) (int, error) { w.text <- string(p); return len(p), nil }

// answering is a Taker that answers as a test wants.
type answering struct {
	lines   chan string
	respond func(context.Context, string) error
}

func (a *answering) Line(ctx context.Context, line string) error {
	a.lines <- line
	return a.respond(ctx, line)
}
func (a *answering) prompt() string { return "> " }
func (a *answering) end() bool      { return true }
func (a *answering) show(*console)  {}
func (a *answering) complete(string) []string {
	return []string{"train", "tokenizer", "plot", "--steps"}
}

func newScreen(t testing.TB, past *history, respond func(context.Context, *console, string) error) *screen {
	lines := make(chan string, 100)
	return onScreen(t, past, func(c *console) Taker {
		return &answering{lines, func(ctx context.Context, line string) error { return respond(ctx, c, line) }}
	}, lines)
}

// onScreen shows a taker on a terminal that the test types on.
func onScreen(t testing.TB, past *history, taker func(*console) Taker, lines chan string) *screen {
	in, keys := io.Pipe()
	s := &screen{t: t, keys: keys, lines: lines, ended: make(chan error, 1), out: &syncWriter{text: make(chan string, 1000)}}
	c := newConsole(context.Background(), in, s.out, past)
	go func() { s.ended <- c.loop(context.Background(), taker(c)) }()
	t.Cleanup(func() { keys.Close() })
	return s
}

// line is the next line that reached the taker.
func (s *screen) line() string {
	s.t.Helper()
	select {
	case line := <-s.lines:
		return line
	case <-time.After(5 * time.Second):
		s.t.Fatal("no line came")
		return ""
	}
}

func (s *screen) types(text string) {
	_, err := io.WriteString(s.keys, text)
	require.NoError(s.t, err)
}

// shows waits until the terminal has shown a text, and forgets what was before.
func (s *screen) shows(want string) {
	s.t.Helper()
	deadline := time.After(5 * time.Second)
	for !strings.Contains(s.out.all.String(), want) {
		select {
		case text := <-s.out.text:
			s.out.all.WriteString(text)
		case <-deadline:
			s.t.Fatalf("the terminal did not show %q but %q", want, s.out.all.String())
		}
	}
	s.out.all.Reset()
}

func (s *screen) ends() {
	s.t.Helper()
	select {
	case err := <-s.ended:
		require.NoError(s.t, err)
	case <-time.After(5 * time.Second):
		s.t.Fatal("the conversation goes on")
	}
}

func echo(_ context.Context, c *console, line string) error {
	fmt.Fprintf(c, "<%s>\n", line)
	return nil
}

func TestAPastedMessageOfManyLinesIsOne(t *testing.T) {
	s := newScreen(t, &history{}, echo)
	s.types("see: " + pasteStart + "one\rtwo\r" + pasteEnd + "three\r")
	require.Equal(t, "see: one\ntwo\nthree", s.line())
	s.shows("<see: one\r\ntwo\r\nthree>")
	s.types("\x04")
	s.ends()
}

func TestCtrlCStopsTheAnswerAndNotTheProgram(t *testing.T) {
	s := newScreen(t, &history{}, func(ctx context.Context, c *console, _ string) error {
		fmt.Fprint(c, "so ")
		<-ctx.Done()
		return ctx.Err()
	})
	s.types("tell me\r")
	s.shows("so ")
	s.types("\x03")
	s.shows("(stopped)")
	s.types("again\r")
	s.shows("so ")
	s.types("\x03")
	s.shows("(stopped)")
	s.types("half a line\x03")
	s.shows("Ctrl-C again leaves")
	s.types("more\r") // something else takes it back
	s.shows("so ")
	s.types("\x03")
	s.shows("(stopped)")
	s.types("\x03")
	s.shows("Ctrl-C again leaves")
	s.types("\x03")
	s.ends()
}

func TestErrorsAreToldAndQuitLeaves(t *testing.T) {
	s := newScreen(t, &history{}, func(_ context.Context, _ *console, line string) error {
		if line == "/quit" {
			return errQuit
		}
		return errors.New("no such thing\nstack")
	})
	s.types("x\r")
	s.shows("no such thing\r\n")
	s.types("/quit\r")
	s.ends()
}

func TestControlCharactersOfTheModelDoNotReachTheTerminal(t *testing.T) {
	s := newScreen(t, &history{}, func(_ context.Context, c *console, _ string) error {
		fmt.Fprint(c, "a\x1b]0;owned\x07b\u009bc\n")
		return nil
	})
	s.types("x\r")
	s.shows("a\uFFFD]0;owned\uFFFDb\uFFFDc\r\n")
}

func TestLinesTypedBeforeComeBack(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cache", "history")
	s := newScreen(t, openHistory(file), echo)
	s.types("one\rtwo\x1b\rlines\r\rtwo\x1b\rlines\r")
	s.types("\x04")
	s.ends()

	again := openHistory(file)
	require.Equal(t, []string{"one", "two\nlines"}, again.entries, "without empty lines and repetitions")
	s = newScreen(t, again, echo)
	s.types("\x1b[A\r")
	require.Equal(t, "two\nlines", s.line())
	s.types("\x1b[A\x1b[A\r")
	require.Equal(t, "one", s.line())
}

func TestAHistoryOfAnyKindIsRead(t *testing.T) {
	file := filepath.Join(t.TempDir(), "history")
	var text strings.Builder
	for i := range 3 * maxHistory {
		fmt.Fprintf(&text, "\"line %d\"\nnot JSON\n", i)
	}
	require.NoError(t, os.WriteFile(file, []byte(text.String()), 0o600))
	h := openHistory(file)
	require.Equal(t, maxHistory, h.Len())
	require.Equal(t, fmt.Sprintf("line %d", 3*maxHistory-1), h.At(0))
	rewritten, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, maxHistory, strings.Count(string(rewritten), "\n"))

	h = &history{} // of a place that cannot be written
	h.file = filepath.Join(file, "below a file")
	h.Add("kept for now")
	require.Equal(t, "kept for now", h.At(0))
}

func TestTabCompletesTheWordBeforeTheCursor(t *testing.T) {
	s := newScreen(t, &history{}, echo)
	for typed, want := range map[string]string{
		"p\t":               "plot ",
		"tr\tx":             "train x",
		"train --s\t9":      "train --steps 9",
		"x y\t":             "x y",
		"p now\x01\x1b[C\t": "plot  now",
	} {
		s.types(typed + "\r")
		require.Equal(t, want, s.line())
	}
	s.types("t\t")
	s.shows("train  tokenizer")
	s.types("r\t\r")
	require.Equal(t, "train ", s.line())
}
