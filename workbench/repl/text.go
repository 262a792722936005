package repl

import (
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"tandem/workbench/lab"
)

// WriteTable writes rows under a heading in aligned columns.
func WriteTable(out io.Writer, heading []string, rows [][]string) error {
	return lab.Table{Heading: heading, Rows: rows}.Write(out)
}

// GiB is a size in GiB, to two digits.
func GiB(bytes int64) string { return fmt.Sprintf("%.2f", float64(bytes)/(1<<30)) }

// Seconds is a time to a thousandth of a second.
func Seconds(seconds float64) string {
	return (time.Duration(seconds*1000) * time.Millisecond).String()
}

func inMB(bytes int64) string { return fmt.Sprintf("%.1f MB", float64(bytes)/1e6) }

// number formats a value that may be absent.
func number(value float64, format string) string {
	if math.IsNaN(value) {
		return "-"
	}
	return fmt.Sprintf(format, value)
}

// WriteParams lists a model's parameters by part.
func WriteParams(out io.Writer, account lab.Account) error {
	var rows [][]string
	for _, row := range account.Rows {
		rows = append(rows, []string{row.Name, row.Kind, lab.Grouped(row.Parameters), fmt.Sprintf("%.1f%%", 100*row.Share)})
	}
	rows = append(rows,
		[]string{"total", account.Pattern, lab.Grouped(account.Parameters), "100.0%"},
		[]string{"of which matrices", "", lab.Grouped(account.Matrices), fmt.Sprintf("%.1f%%", 100*float64(account.Matrices)/float64(account.Parameters))})
	return WriteTable(out, []string{"part", "kind", "parameters", "share"}, rows)
}

// WriteConfig lists every value of a configuration and where it comes from.
func WriteConfig(out io.Writer, c *lab.Config) error {
	var rows [][]string
	for _, derived := range c.Derived() {
		rows = append(rows, []string{derived.Key, fmt.Sprint(derived.Value), derived.Formula})
	}
	return WriteTable(out, []string{"key", "value", "from"}, rows)
}

// WriteRuns lists the runs, newest first.
func WriteRuns(out io.Writer) error {
	runs, err := lab.Runs()
	if err != nil {
		return err
	}
	var rows [][]string
	for _, run := range runs {
		s := run.Summary
		rows = append(rows, []string{run.Name, fmt.Sprint(s.Steps), number(s.LastLoss, "%.4f"), number(s.BestValidation, "%.4f"),
			number(s.TokensPerSecond, "%.0f"), run.Problem})
	}
	return WriteTable(out, []string{"run", "steps", "loss", "bits per byte", "tokens/s", ""}, rows)
}

// WriteStatus says what a session holds and does.
func WriteStatus(out io.Writer, s lab.SessionStatus) error {
	if s.Process == nil {
		fmt.Fprintln(out, "no session: the work is done in this process, and ends with it")
	} else {
		idle := "never stops by itself"
		if s.Process.IdleSeconds > 0 {
			idle = "stops after " + Seconds(s.Process.IdleSeconds) + " without work"
		}
		fmt.Fprintf(out, "process %d, up %s, build %s; %s\n", s.Process.PID, time.Since(s.Process.Started).Round(time.Second), s.Process.Build, idle)
		if s.Process.Previous != "" {
			fmt.Fprintln(out, s.Process.Previous)
		}
	}
	device := s.Device
	if device == "" {
		device = "not opened yet"
	}
	fmt.Fprintf(out, "device: %s; %s of host memory\n", device, inMB(s.HostBytes))
	fmt.Fprintf(out, "%d answers; loading took %s and compiling %s, %s of which later calls were spared\n\n",
		s.Calls, Seconds(s.LoadSeconds), Seconds(s.CompileSeconds), Seconds(s.SavedSeconds))
	var rows [][]string
	for _, m := range s.Models {
		rows = append(rows, []string{m.Run, m.Pattern, fmt.Sprint(m.Step), inMB(m.WeightBytes), inMB(m.StateBytes), fmt.Sprint(m.Conversations), fmt.Sprint(m.Answering)})
	}
	if err := WriteTable(out, []string{"model", "pattern", "step", "weights", "states", "conversations", "answering"}, rows); err != nil {
		return err
	}
	rows = nil
	for _, t := range s.Trainings {
		rows = append(rows, []string{t.Run, string(t.State), fmt.Sprintf("%d/%d", t.Step, t.Steps), fmt.Sprintf("%.4f", t.Loss), t.Problem})
	}
	fmt.Fprintln(out)
	return WriteTable(out, []string{"training", "state", "step", "loss", ""}, rows)
}

// dataWaitMax is the share of the time spent waiting for data above which it is worth a word.
const dataWaitMax = 0.02

// StepText is a step of a training in a few words, without its number.
func StepText(e lab.Event) string {
	if e.Text != "" { // of a training on rewards, which says it in its own words
		return fmt.Sprintf("%s  %s left", e.Text, e.Remaining.Round(time.Second))
	}
	line := fmt.Sprintf("loss %.4f  %.0f tokens/s  %s left", e.Metrics.Loss, e.TokensPerSecond, e.Remaining.Round(time.Second))
	if e.DataWait > dataWaitMax {
		line += fmt.Sprintf("  (waiting for data %.0f%% of the time)", 100*e.DataWait)
	}
	return line
}

// EventText is what else happens in a training, in words.
func EventText(e lab.Event) string {
	switch e.Kind {
	case lab.EventEval:
		return fmt.Sprintf("step %d: validation %.4f bits per byte", e.Step, e.BPB)
	case lab.EventSample:
		return fmt.Sprintf("step %d: %s", e.Step, strings.ReplaceAll(e.Text, "\n", "\n    "))
	case lab.EventSave:
		return "saved " + e.Text
	}
	return e.Text
}

// EndText says how a training of a session ended; a failed one is an error.
func EndText(t lab.Training) (string, error) {
	if t.State == lab.TrainingFailed {
		return "", fmt.Errorf("train %s: %s", t.Run, t.Problem)
	}
	line := fmt.Sprintf("%s: %s at step %d of %d", t.Run, t.State, t.Step, t.Steps)
	if t.Problem != "" {
		line += " (" + t.Problem + ")"
	}
	if t.BPB > 0 {
		line += fmt.Sprintf("; validation %.3f bits per byte", t.BPB)
	}
	return line, nil
}
