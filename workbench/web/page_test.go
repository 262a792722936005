package web_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"tandem/workbench/generate"
	"tandem/workbench/web"
)

func TestThePageIsServedWithAStrictPolicyAndNeedsNoOtherServer(t *testing.T) {
	server := listening(t, &fakeEngine{}, nil)
	files, err := filepath.Glob("page/*")
	require.NoError(t, err)
	require.Greater(t, len(files), 5)
	elsewhere := regexp.MustCompile(`(src|href|url|import|from)\W{0,4}(https?:)?//`)
	inline := regexp.MustCompile(`(?i)\son[a-z]+=|\sstyle=|<script>|<style|javascript:|innerHTML|insertAdjacentHTML|\beval\(`)
	for _, file := range files {
		path := "/" + filepath.Base(file)
		if path == "/index.html" {
			path = "/"
		}
		response, body := send(t, "GET", server.URL+path, "")
		require.Equal(t, http.StatusOK, response.StatusCode, path)
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Equal(t, string(content), body)
		require.Empty(t, elsewhere.FindString(body), path)
		require.Empty(t, inline.FindString(body), path)
		policy := response.Header.Get("Content-Security-Policy")
		require.Contains(t, policy, "default-src 'none'")
		require.NotContains(t, policy, "unsafe")
		require.Equal(t, "nosniff", response.Header.Get("X-Content-Type-Options"))
		again, _ := send(t, "GET", server.URL+path, "", "If-None-Match", response.Header.Get("ETag"))
		require.Equal(t, http.StatusNotModified, again.StatusCode)
	}
}

func TestThePageInABrowser(t *testing.T) {
	browser := openBrowser(t)
	for _, c := range []struct {
		name string
		test func(*testing.T, context.Context)
	}{
		{"it shows the model", browserShowsTheModel},
		{"it streams answers and stops them", browserStreamsAnswersAndStopsThem},
		{"it edits and regenerates", browserEditsAndRegenerates},
		{"it sends the settings", browserSendsTheSettings},
		{"it shows text as text and errors in words", browserShowsTextAsTextAndErrorsInWords},
		{"it asks for the token", browserAsksForTheToken},
		{"it is readable in light, in dark and on a phone", browserIsReadableInLightInDarkAndOnAPhone},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, browser) })
	}
}

func browserShowsTheModel(t *testing.T, browser context.Context) {
	b := openTab(t, browser, listening(t, &fakeEngine{}, nil))
	b.sees(`document.querySelector("#model").textContent`, "tiny")
	b.sees(`document.querySelector("#pattern").textContent`, "TMMTMM")
	b.sees(`document.querySelector("#pattern").ariaLabel`, "6 blocks: TMMTMM")
	b.sees(`document.querySelector("#facts").textContent`, "1.23M parameters · context 4096 · go")
	b.sees(`document.querySelector("#status").textContent`, "state 80 KiB, 512 B a token")
	b.sees(`getComputedStyle(document.querySelector('#pattern [data-kind="T"]')).backgroundColor === getComputedStyle(document.querySelector('#pattern [data-kind="M"]')).backgroundColor`, "false")
	b.picture("empty")
}

func browserStreamsAnswersAndStopsThem(t *testing.T, browser context.Context) {
	engine := &fakeEngine{step: make(chan struct{})}
	b := openTab(t, browser, listening(t, engine, nil))
	b.sees(`document.activeElement.id`, "input")
	b.ask("hello")
	b.sees(busy, "true")
	for range 3 {
		select {
		case engine.step <- struct{}{}:
		case <-time.After(patience):
			t.Fatal("no answer asks for a token")
		}
	}
	b.sees(lastText, "hel")
	b.do(chromedp.KeyEvent(kb.Escape))
	b.sees(busy, "false")
	b.sees(bodies, "user: hello | assistant: hel")
	eventually(t, func() bool { return engine.rows.Load() == 0 }, "the row is free")
	close(engine.step)
	b.ask("more")
	b.sees(bodies, "user: hello | assistant: hel | user: more | assistant: more")
	b.sees(`/^4 tokens · .*first after \d+ ms · 12 of \d+ reused$/.test(document.querySelector(".message:last-child .numbers")?.textContent)`, "true")
	b.do(chromedp.Reload())
	b.sees(bodies, "user: hello | assistant: hel | user: more | assistant: more")
	b.script(`document.querySelector("#new").click()`)
	b.sees(bodies, "")
}

func browserEditsAndRegenerates(t *testing.T, browser context.Context) {
	asked := 0
	engine := &fakeEngine{answer: func(question string) []int32 {
		asked++
		return ids(fmt.Sprintf("%s %d", question, asked))
	}}
	b := openTab(t, browser, listening(t, engine, nil))
	b.sees(`document.activeElement.id`, "input")
	b.ask("one")
	b.sees(bodies, "user: one | assistant: one 1")
	b.click("Regenerate")
	b.sees(bodies, "user: one | assistant: one 2")
	b.ask("two")
	b.sees(bodies, "user: one | assistant: one 2 | user: two | assistant: two 3")
	b.keys("#input", kb.ArrowUp)
	b.keys(".edit textarea", "!")
	b.enter()
	b.sees(bodies, "user: one | assistant: one 2 | user: two! | assistant: two! 4")
	b.script(`document.querySelector(".message.user button").click()`)
	b.keys(".edit textarea", kb.Escape)
	b.sees(bodies, "user: one | assistant: one 2 | user: two! | assistant: two! 4")
	b.script(`document.querySelector(".message.user button").click()`)
	b.keys(".edit textarea", "?")
	b.enter()
	b.sees(bodies, "user: one? | assistant: one? 5")
	b.do(chromedp.KeyEvent("r", chromedp.KeyModifiers(kb.ModifierAlt)))
	b.sees(bodies, "user: one? | assistant: one? 6")
}

func browserSendsTheSettings(t *testing.T, browser context.Context) {
	engine := &fakeEngine{}
	b := openTab(t, browser, listening(t, engine, nil))
	b.sees(`document.activeElement.id`, "input")
	b.click("Settings")
	b.sees(`document.querySelector("#settings").open`, "true")
	set := func(id, value string) {
		b.script(`{ const field = document.getElementById("` + id + `"); field.value = "` + value + `"; field.dispatchEvent(new Event("input")) }`)
	}
	set("system", "Be brief.")
	set("temperature", "0.25")
	set("top_k", "7")
	set("top_p", "0.9")
	set("max_tokens", "16")
	b.sees(`document.querySelector("#top_k-value").textContent + document.querySelector("#temperature-value").textContent`, "70.25")
	b.picture("settings")
	b.do(chromedp.KeyEvent(kb.Escape))
	b.sees(`document.querySelector("#settings").open`, "false")
	b.ask("hello")
	b.sees(bodies, "user: hello | assistant: Be brief.\n\nhello")
	request := engine.last.Load()
	require.Equal(t, generate.Sampling{Temperature: 0.25, TopK: 7, TopP: 0.9, Seed: request.Sampling.Seed}, request.Sampling)
	require.Equal(t, 16, request.MaxTokens)
}

func browserShowsTextAsTextAndErrorsInWords(t *testing.T, browser context.Context) {
	engine := &fakeEngine{}
	b := openTab(t, browser, listening(t, engine, nil))
	b.expected = "503"
	b.sees(`document.activeElement.id`, "input")
	const attack = `<img src=x onerror=alert(1)> & <b>bold</b>`
	b.ask(attack)
	b.sees(lastText, attack)
	b.sees(`document.querySelectorAll("#messages img, #messages b").length`, "0")
	engine.refuse = fmt.Errorf("generate: %w", generate.ErrClosed)
	b.ask("hello")
	b.sees(`document.querySelector(".under .problem")?.textContent`, "the server is stopping")
	engine.refuse = nil
	b.click("Try again")
	b.sees(lastText, "hello")
	b.sees(`document.querySelectorAll(".under .problem").length`, "0")
}

func browserAsksForTheToken(t *testing.T, browser context.Context) {
	b := openTab(t, browser, listening(t, &fakeEngine{}, func(o *web.Options) { o.Token = "open sesame" }))
	b.expected = "401"
	b.sees(`document.querySelector("#login").open`, "true")
	b.keys("#token", "wrong")
	b.enter()
	b.sees(`document.querySelector("#login-problem").textContent`, "the token is wrong; send the one given to workbench serve --token")
	b.sees(`document.querySelector("#login").open`, "true")
	b.script(`document.querySelector("#token").value = ""`)
	b.keys("#token", "open sesame")
	b.enter()
	b.sees(`document.querySelector("#login").open`, "false")
	b.sees(`document.querySelector("#model").textContent`, "tiny")
	b.ask("hello")
	b.sees(lastText, "hello")
}

// demo is an answer of all that a message can hold.
func demo(question string) []int32 {
	if strings.Contains(question, "sum") {
		return ids("Let me add them: ", special("python_start"), "1200 * 3 + 45", special("python_end"), special("output_start"), "3645", special("output_end"), "so the total is 3645.")
	}
	return ids("A Mamba block keeps a state of constant size, so a long conversation does not slow it down. In Go:\n\n```go\nfor t := range steps {\n    h = a*h + b*x[t]\n    y[t] = c * h\n}\n```\n\nHere `h` is all that it remembers; attention keeps every token.")
}

func browserIsReadableInLightInDarkAndOnAPhone(t *testing.T, browser context.Context) {
	b := openTab(t, browser, listening(t, &fakeEngine{answer: demo, pause: time.Millisecond}, nil))
	b.sees(`document.activeElement.id`, "input")
	b.ask("How does a Mamba block remember?")
	b.sees(busy, "false")
	b.ask("What is the sum of three times 1200 and 45?")
	b.sees(busy, "false")
	contrast := func() {
		// WCAG 2.2, 1.4.3: 4.5 to 1 for text, of which the quiet one is the faintest.
		b.sees(`(() => {
			const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
			const luminance = (color) => {
				canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1);
				const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3).map(v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
				return 0.2126 * r + 0.7152 * g + 0.0722 * b;
			};
			const ground = luminance(getComputedStyle(document.body).backgroundColor);
			return [".status", ".body", ".facts, #facts", ".block"].every(name => {
				const style = getComputedStyle(document.querySelector(name));
				const under = name === ".block" ? luminance(style.backgroundColor) : ground;
				const pair = [luminance(style.color), under].sort((a, b) => b - a);
				return (pair[0] + 0.05) / (pair[1] + 0.05) >= 4.5;
			});
		})()`, "true")
	}
	fits := `document.documentElement.scrollWidth <= innerWidth && document.querySelector("#scroll").scrollWidth <= document.querySelector("#scroll").clientWidth`
	b.sees(fits, "true")
	contrast()
	b.picture("light")
	b.click("Light or dark")
	b.sees(`document.documentElement.dataset.theme`, "dark")
	contrast()
	b.picture("dark")
	b.do(chromedp.EmulateViewport(375, 720, chromedp.EmulateScale(2)))
	b.sees(fits, "true")
	b.picture("phone")
	b.click("Light or dark")
	b.picture("phone-light")
}
