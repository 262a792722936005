package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"tandem/workbench/lab"
)

// progress shows a training: a bar on a terminal, plain lines elsewhere.
type progress struct {
	out      io.Writer
	terminal bool
	bar      *progressbar.ProgressBar
}

func newProgress(file *os.File) *progress {
	return &progress{out: file, terminal: term.IsTerminal(int(file.Fd()))}
}

// say prints one line, above the bar if there is one.
func (p *progress) say(line string) {
	if p.bar != nil {
		p.bar.Clear()
	}
	fmt.Fprintln(p.out, line)
	if p.bar != nil {
		p.bar.RenderBlank()
	}
}

// report shows an event of a training.
func (p *progress) report(e lab.Event) {
	switch e.Kind {
	case lab.EventStep:
		p.step(e)
	case lab.EventEval:
		p.say(fmt.Sprintf("step %d: validation %.4f bits per byte", e.Step, e.BPB))
	case lab.EventSample:
		if e.Step < e.Steps { // the last one is the result
			p.say(fmt.Sprintf("step %d: %s", e.Step, strings.ReplaceAll(e.Text, "\n", "\n    ")))
		}
	case lab.EventSave:
		if !p.terminal {
			p.say("saved " + e.Text)
		}
	default:
		p.say(e.Text)
	}
}

func (p *progress) step(e lab.Event) {
	line := fmt.Sprintf("loss %.4f  %.0f tokens/s  %s left", e.Metrics.Loss, e.TokensPerSecond, e.Remaining.Round(time.Second))
	if !p.terminal {
		fmt.Fprintf(p.out, "step %d/%d  %s\n", e.Step, e.Steps, line)
		return
	}
	if p.bar == nil {
		p.bar = progressbar.NewOptions(e.Steps, progressbar.OptionSetWriter(p.out), progressbar.OptionSetWidth(24),
			progressbar.OptionShowCount(), progressbar.OptionSetPredictTime(false), progressbar.OptionSetElapsedTime(false))
	}
	p.bar.Describe(line)
	p.bar.Set(e.Step)
}

func (p *progress) close() {
	if p.bar != nil {
		p.bar.Finish()
		fmt.Fprintln(p.out)
		p.bar = nil
	}
}
