package web_test

import (
	"context"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// browserPath finds a Chromium, or skips the test.
func browserPath(t testing.TB) string {
	t.Helper()
	names := []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "headless-shell"}
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skipf("no browser: none of %s is in PATH; on Debian: apt-get install chromium", strings.Join(names, ", "))
	return ""
}

// tab is a page in a headless browser that can reach nothing but this machine. At the test's end it must have asked no
// other server, met no error and broken no policy.
type tab struct {
	t   testing.TB
	ctx context.Context

	mu       sync.Mutex
	problems []string
	// expected is a part of problems that the test provokes.
	expected string
}

// openBrowser starts one, whose tabs share nothing but the process.
func openBrowser(t testing.TB) context.Context {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(browserPath(t)),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"),
		chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.UserDataDir(t.TempDir()),
		chromedp.WindowSize(1100, 800),
	)
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium refuses to be root with it
	}
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	ctx, closeBrowser := chromedp.NewContext(allocator)
	t.Cleanup(closeBrowser)
	require.NoError(t, chromedp.Do(ctx))
	return ctx
}

func openTab(t testing.TB, browser context.Context, server *httptest.Server) *tab {
	t.Helper()
	ctx, closeTab := chromedp.NewContext(browser, chromedp.WithNewBrowserContext())
	t.Cleanup(closeTab)
	ctx, cancel := context.WithTimeout(ctx, 4*patience)
	t.Cleanup(cancel)
	b := &tab{t: t, ctx: ctx}
	require.NoError(t, chromedp.Listen(ctx, func(event any) {
		switch event := event.(type) {
		case *network.EventRequestWillBeSent:
			if !strings.HasPrefix(event.Request.URL, server.URL) {
				b.problem("request to " + event.Request.URL)
			}
		case *runtime.EventExceptionThrown:
			b.problem("exception: " + (&chromedp.ExceptionError{ExceptionDetails: event.ExceptionDetails}).Error())
		case *log.EventEntryAdded:
			if event.Entry.Level == log.EntryLevelError {
				b.problem("log: " + event.Entry.Text)
			}
		}
	}))
	t.Cleanup(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, problem := range b.problems {
			if b.expected == "" || !strings.Contains(problem, b.expected) {
				t.Error(problem)
			}
		}
	})
	b.do(chromedp.Navigate(server.URL))
	return b
}

func (b *tab) problem(what string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.problems = append(b.problems, what)
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	require.NoError(b.t, chromedp.Do(b.ctx, steps...))
}

// value evaluates an expression to a string.
func (b *tab) value(expression string) string {
	b.t.Helper()
	value, err := chromedp.Run(b.ctx, chromedp.Evaluate[string]("String("+expression+")"))
	require.NoError(b.t, err)
	return value
}

// script runs a statement.
func (b *tab) script(statement string) {
	b.t.Helper()
	b.do(chromedp.Evaluate[chromedp.Void](statement))
}

// keys types into an element.
func (b *tab) keys(selector, keys string) {
	b.t.Helper()
	b.do(chromedp.SendKeys(chromedp.CSS(selector), keys))
}

// sees waits until an expression has a value.
func (b *tab) sees(expression, want string) {
	b.t.Helper()
	var got string
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if got = b.value(expression); got == want {
			return
		}
	}
	require.Equal(b.t, want, got, expression)
}

// enter presses Enter as a keyboard does: one event that, unless the page takes it, also types a line break.
func (b *tab) enter() {
	b.t.Helper()
	for _, kind := range []input.DispatchKeyEventType{input.DispatchKeyEventTypeKeyDown, input.DispatchKeyEventTypeKeyUp} {
		key := input.DispatchKeyEventParams{Type: kind, Key: "Enter", Code: "Enter", WindowsVirtualKeyCode: 13}
		if kind == input.DispatchKeyEventTypeKeyDown {
			key.Text = "\r"
		}
		_, err := chromedp.Call(b.ctx, input.DispatchKeyEvent, key)
		require.NoError(b.t, err)
	}
}

// ask types a message and sends it with Enter.
func (b *tab) ask(text string) {
	b.t.Helper()
	b.keys("#input", text)
	b.enter()
}

// picture keeps a screenshot: go test -artifacts -run Browser ./workbench/web.
func (b *tab) picture(name string) {
	b.t.Helper()
	b.do(chromedp.Sleep(100 * time.Millisecond)) // transitions
	image, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	require.NoError(b.t, err)
	require.NoError(b.t, os.WriteFile(filepath.Join(b.t.(*testing.T).ArtifactDir(), name+".png"), image, 0o644))
}

// Expressions for the page's messages.
const (
	bodies   = `[...document.querySelectorAll(".message")].map(m => m.className.split(" ")[1] + ": " + m.querySelector(".body").innerText).join(" | ")`
	lastText = `document.querySelector(".message:last-child .body")?.innerText`
	busy     = `document.body.classList.contains("busy")`
)

func (b *tab) click(label string) {
	b.t.Helper()
	b.script(`[...document.querySelectorAll("button")].findLast(b => (b.textContent.trim() || b.ariaLabel) === "` + label + `").click()`)
}
