package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"

	"tandem/models"
	"tandem/workbench/plot"
	"tandem/workbench/runlog"
)

// Comparison is runs, and patterns that no run has yet, side by side.
type Comparison struct {
	Entries []Compared
	err     error
}

// Compared is one of a Comparison. Of a pattern without a run only Label, Pattern and the model are known.
type Compared struct {
	// Label names it in pictures: the pattern, or the run where several have the pattern.
	Label string `json:"label"`
	// Run is the run's name, "" if there is none.
	Run        string         `json:"run"`
	Pattern    string         `json:"pattern"`
	Parameters int            `json:"parameters"`
	StepFLOPs  float64        `json:"step_flops"`
	Summary    runlog.Summary `json:"summary"`

	curve curve
}

// curve is a training's steps: the loss, smoothed, and what was spent until then.
type curve struct{ steps, tokens, seconds, loss []float64 }

// smoothing is the weight of the past in a curve of the loss.
const smoothing = 0.9

// newestRuns is how many runs are compared if none is named.
const newestRuns = 6

// Compare shows runs side by side: curves of the loss against steps, tokens and seconds, and a table. Each reference is
// the name or path of a run, or a pattern, which stands for the newest trained run that has it; a pattern without a run is only
// counted. Without references it takes the newest runs.
func Compare(references ...string) *Comparison {
	c, err := CompareRuns(references)
	if err != nil {
		return &Comparison{err: fail(err)}
	}
	return c.Show()
}

// CompareRuns is Compare for programs: it shows nothing.
func CompareRuns(references []string) (*Comparison, error) {
	c := &Comparison{}
	if len(references) == 0 {
		if err := c.takeNewest(); err != nil {
			return nil, err
		}
	}
	for _, reference := range references {
		entry, err := compared(reference)
		if err != nil {
			return nil, err
		}
		c.Entries = append(c.Entries, entry)
	}
	c.label()
	return c, nil
}

// takeNewest adds the newest runs of those that can be read: one that cannot is an error only where there is no other.
func (c *Comparison) takeNewest() error {
	runs, err := Runs()
	if err != nil {
		return err
	}
	var problem error
	for _, run := range runs {
		if len(c.Entries) == newestRuns {
			break
		}
		entry, err := compared(run.Name)
		if err == nil {
			c.Entries = append(c.Entries, entry)
		} else if problem == nil {
			problem = err
		}
	}
	switch {
	case len(c.Entries) > 0:
		return nil
	case problem != nil:
		return problem
	}
	return fmt.Errorf("compare runs: there is none under %s; train one with: go run ./workbench train", RunsFolder)
}

// compared finds what a reference names.
func compared(reference string) (Compared, error) {
	run, err := OpenRun(reference)
	if _, statErr := os.Stat(RunFolder(reference)); errors.Is(statErr, fs.ErrNotExist) {
		pattern, parseErr := models.ParsePattern(reference)
		if parseErr != nil {
			return Compared{}, fmt.Errorf("compare %q: it is neither a run (%s) nor a pattern (%w)", reference, existingRuns(), parseErr)
		}
		if run = newestOf(pattern); run == nil {
			return untrained(pattern)
		}
		err = nil
	}
	if err != nil {
		return Compared{}, err
	}
	return trained(run)
}

// newestOf finds the newest run with a pattern, of those that recorded a step if there are any: an export did not. nil if
// there is none.
func newestOf(pattern models.Pattern) (newest *Run) {
	runs, err := Runs()
	if err != nil {
		return nil
	}
	for _, listed := range runs {
		trained := listed.Summary.Steps > 0
		if !trained && newest != nil {
			continue
		}
		run, err := OpenRun(listed.Dir)
		switch {
		case err != nil || run.Info.Pattern != pattern.String():
		case trained:
			return run
		default:
			newest = run
		}
	}
	return newest
}

// untrained counts a pattern of which there is no run.
func untrained(pattern models.Pattern) (Compared, error) {
	m := describe(pattern.String())
	return Compared{Pattern: pattern.String(), Parameters: m.Parameters(), StepFLOPs: m.FLOPs(), Summary: runlog.Summarize(nil)}, m.err
}

func trained(run *Run) (Compared, error) {
	model, err := run.Model()
	if err != nil {
		return Compared{}, err
	}
	records, err := run.metrics()
	if err != nil {
		return Compared{}, err
	}
	m := Architecture{Config: run.Info.Config, model: model}
	return Compared{
		Run: run.Name, Pattern: run.Info.Pattern, Parameters: model.Parameters(), StepFLOPs: m.FLOPs(),
		Summary: runlog.Summarize(records), curve: curveOf(records),
	}, nil
}

// metrics are what a run recorded: nothing if it was not trained here, as an export.
func (r *Run) metrics() ([]runlog.Record, error) {
	records, _, err := runlog.Read(filepath.Join(r.Folder, runlog.MetricsFile))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return records, err
}

func curveOf(records []runlog.Record) (c curve) {
	var tokens, seconds float64
	var losses []float64
	for _, record := range records {
		if record.Kind != runlog.KindStep {
			continue
		}
		tokens += record.Values[runlog.Tokens]
		seconds += record.Values[runlog.Seconds]
		c.steps, c.tokens, c.seconds = append(c.steps, float64(record.Step)), append(c.tokens, tokens), append(c.seconds, seconds)
		losses = append(losses, record.Values[runlog.Loss])
	}
	c.loss = runlog.Smooth(losses, smoothing)
	return c
}

// label names each entry by its pattern, or by run and pattern where that is not enough.
func (c *Comparison) label() {
	count := map[string]int{}
	for _, entry := range c.Entries {
		count[entry.Pattern]++
	}
	for i, entry := range c.Entries {
		c.Entries[i].Label = entry.Pattern
		if count[entry.Pattern] > 1 && entry.Run != "" {
			c.Entries[i].Label = entry.Run + ": " + entry.Pattern
		}
	}
}

// Err is why there is no comparison.
func (c *Comparison) Err() error { return c.err }

// Show draws the curves and the table.
func (c *Comparison) Show() *Comparison {
	if c.err != nil {
		return c
	}
	panel := Panel{Tables: []Table{c.Table()}}
	if c.hasCurves() {
		panel.Picture = c.Picture()
	}
	for _, entry := range c.Entries {
		if entry.Run == "" {
			panel.Note = "A pattern without a run is only counted, in tiny's context and vocabulary; train one with lab.Train(lab.Model(PATTERN))."
		}
	}
	display.Show(panel)
	return c
}

func (c *Comparison) hasCurves() bool { return slices.ContainsFunc(c.Entries, Compared.HasCurve) }

// Picture draws the loss against steps, tokens and seconds.
func (c *Comparison) Picture() plot.Picture {
	steps := plot.Curves{Title: "Training loss against steps", X: "steps", Y: "nats a token", Settling: true}
	tokens := plot.Curves{Title: "against tokens", X: "tokens", Y: steps.Y, Settling: true}
	seconds := plot.Curves{Title: "against time", X: "seconds of training", Y: steps.Y, Settling: true}
	for _, entry := range c.Entries {
		e := entry.curve
		steps.Lines = append(steps.Lines, plot.Line{Name: entry.Label, X: e.steps, Y: e.loss})
		tokens.Lines = append(tokens.Lines, plot.Line{Name: entry.Label, X: e.tokens, Y: e.loss})
		seconds.Lines = append(seconds.Lines, plot.Line{Name: entry.Label, X: e.seconds, Y: e.loss})
	}
	return plot.Row{steps, tokens, seconds}
}

// Save draws the curves to a .svg or .png file.
func (c *Comparison) Save(path string) error {
	if c.err != nil {
		return c.err
	}
	if !c.hasCurves() {
		return fmt.Errorf("save picture %q: none of these has a step with a finite loss, so there is no curve", path)
	}
	return plot.Save(path, c.Picture())
}

// CheckPicture reports the name of a picture that Save will refuse.
func CheckPicture(path string) error { return plot.CheckPath(path) }

// Table lists each run's size, work and result; of patterns without any run only what can be counted.
func (c *Comparison) Table() Table {
	if !slices.ContainsFunc(c.Entries, func(entry Compared) bool { return entry.Run != "" }) {
		table := Table{Heading: []string{"pattern", "parameters", "FLOPs a step"}}
		for _, entry := range c.Entries {
			table.Rows = append(table.Rows, []string{entry.Pattern, Grouped(entry.Parameters), scaled(entry.StepFLOPs, "")})
		}
		return table
	}
	table := Table{Heading: []string{"run", "pattern", "parameters", "FLOPs a step", "steps", "tokens", "seconds", "tokens/s", "loss", "bits per byte"}}
	for _, entry := range c.Entries {
		s := entry.Summary
		row := []string{entry.Run, entry.Pattern, Grouped(entry.Parameters), scaled(entry.StepFLOPs, "")}
		if entry.Run == "" {
			row = append(row, "-", "-", "-", "-", "-", "-")
		} else {
			row = append(row, Grouped(s.Steps), Grouped(s.Tokens), fmt.Sprintf("%.0f", s.Seconds), known(s.TokensPerSecond, "%.0f"),
				known(s.LastLoss, "%.3f"), known(s.BestValidation, "%.3f"))
		}
		table.Rows = append(table.Rows, row)
	}
	return table
}

// known formats a value that may be absent.
func known(value float64, format string) string {
	if math.IsNaN(value) {
		return "-"
	}
	return fmt.Sprintf(format, value)
}
