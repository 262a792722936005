package lab

import (
	"fmt"
	"time"

	"tandem/workbench/plot"
	"tandem/workbench/runlog"
	"tandem/workbench/session"
)

// livePanel is a training as it is shown: it takes its records and draws them, in place.
type livePanel struct {
	run     string
	records []runlog.Record
	note    string
	sample  string
	next    time.Time // not to be drawn again before
}

const (
	// livePause is the shortest time between two drawings.
	livePause = time.Second
	// liveShare bounds the time that drawing takes: one part in so many.
	liveShare = 200
)

func newLivePanel(run string) *livePanel { return &livePanel{run: run} }

// take adds a record.
func (l *livePanel) take(record runlog.Record) {
	l.records = append(l.records, record)
	switch record.Kind {
	case runlog.KindStep:
		v := record.Values
		l.note = fmt.Sprintf("step %d", record.Step)
		if steps := v["steps"]; steps > 0 {
			l.note += fmt.Sprintf("/%.0f", steps)
		}
		l.note += fmt.Sprintf("  loss %.4f", v[runlog.Loss])
		if rate := v[runlog.TokensPerSecond]; rate > 0 {
			l.note += fmt.Sprintf("  %.0f tokens/s", rate)
		}
		if left := v["remaining_seconds"]; left > 0 {
			l.note += fmt.Sprintf("  %s left", time.Duration(left*float64(time.Second)).Round(time.Second))
		}
	case runlog.KindSample:
		l.sample = record.Text["text"]
	case session.Say, runlog.KindEvent:
		l.note = record.Text["text"]
	}
}

// show draws, unless it was drawn a moment ago.
func (l *livePanel) show(update func(Panel)) {
	started := time.Now()
	if started.Before(l.next) {
		return
	}
	update(l.panel())
	took := time.Since(started)
	l.next = time.Now().Add(max(livePause, liveShare*took))
}

// end draws for the last time.
func (l *livePanel) end(update func(Panel), note string) {
	l.note = note
	panel := l.panel()
	panel.Last = true
	update(panel)
}

// panel is how it stands.
func (l *livePanel) panel() Panel {
	panel := Panel{Title: l.run, Note: l.note, Text: l.sample}
	records := runlog.Resolve(l.records)
	trained := curveOf(records)
	if len(trained.steps) == 0 {
		return panel
	}
	loss := plot.Curves{Title: "Training loss", X: "steps", Y: "nats a token", Settling: true, Lines: []plot.Line{{X: trained.steps, Y: trained.loss}}}
	held := plot.Line{Points: true}
	for _, record := range records {
		if bpb, ok := record.Values[runlog.BitsPerByte]; ok && record.Kind == runlog.KindEval {
			held.X, held.Y = append(held.X, float64(record.Step)), append(held.Y, bpb)
		}
	}
	row := plot.Row{loss}
	if len(held.X) > 0 { // axes without a point say nothing, and look like a fault
		row = append(row, plot.Curves{Title: "Validation", X: "steps", Y: "bits per byte", Lines: []plot.Line{held}})
	}
	panel.Picture = row
	return panel
}
