package cli

import (
	"fmt"
	"io"
	"os"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"tandem/workbench/lab"
	"tandem/workbench/repl"
)

// progress shows a training: a bar on a terminal that has room for one, plain lines elsewhere.
type progress struct {
	out      io.Writer
	terminal bool
	bar      *progressbar.ProgressBar
	file     string // that is being downloaded
}

func newProgress(file *os.File) *progress {
	columns, _, err := term.GetSize(int(file.Fd()))
	return &progress{out: file, terminal: err == nil && hasBar(columns)}
}

// hasBar says whether a bar and what there is to say of a step stand in one line: what goes on below cannot be drawn again
// in its place. A width of 0 is one that is not known.
func hasBar(columns int) bool { return columns >= 60 }

// room is how much can be said beside the smallest bar of so many steps.
func (p *progress) room(steps int) int {
	const percentAndBar = 6 + 2 + 8 + 3
	columns := 80
	if file, ok := p.out.(*os.File); ok {
		if now, _, err := term.GetSize(int(file.Fd())); err == nil {
			columns = now
		}
	}
	return max(0, columns-percentAndBar-len(fmt.Sprintf("(%d/%d)", steps, steps)))
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
	case lab.EventSample:
		if e.Step < e.Steps { // the last one is the result
			p.say(repl.EventText(e))
		}
	case lab.EventSave:
		if !p.terminal {
			p.say(repl.EventText(e))
		}
	default:
		p.say(repl.EventText(e))
	}
}

func (p *progress) step(e lab.Event) {
	line := repl.StepText(e)
	if !p.terminal {
		fmt.Fprintf(p.out, "step %d/%d  %s\n", e.Step, e.Steps, line)
		return
	}
	if p.bar == nil {
		p.bar = progressbar.NewOptions(e.Steps, progressbar.OptionSetWriter(p.out), progressbar.OptionFullWidth(),
			progressbar.OptionShowCount(), progressbar.OptionSetPredictTime(false), progressbar.OptionSetElapsedTime(false))
	}
	if p.bar.GetMax() != e.Steps { // a training of minutes finds its steps as it goes
		p.bar.ChangeMax(e.Steps)
	}
	if runes, room := []rune(line), p.room(e.Steps); len(runes) > room {
		line = string(runes[:room])
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
