package eval

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Markdown is the report for people.
func (r *Report) Markdown() string {
	var out strings.Builder
	fmt.Fprintf(&out, "# Evaluation of %s, step %d\n\n", r.Run, r.Step)
	fmt.Fprintf(&out, "Pattern %s, %d parameters; backend %s, products in %s. Intervals hold the value with 95 %% confidence as far as the choice of examples goes; they know nothing of other seeds of the training.\n\n", r.Pattern, r.Parameters, r.Backend, r.Compute)
	table(&out, Heading, r.Rows())
	for _, mean := range r.Means {
		fmt.Fprintf(&out, "\n**%s** (mean of %d centred values): %.4f (%.4f to %.4f)\n", mean.Name, mean.Tasks, mean.Value, mean.Interval.Low, mean.Interval.High)
	}
	var notes []string
	for _, result := range r.Results {
		notes = append(notes, result.notes()...)
	}
	if len(notes) > 0 {
		out.WriteString("\n## Notes\n\n- " + strings.Join(notes, "\n- ") + "\n")
	}
	if r.Comparison != nil {
		fmt.Fprintf(&out, "\n## Compared with %s, step %d\n\n", r.Comparison.Other, r.Comparison.Step)
		table(&out, ComparisonHeading, r.Comparison.TableRows())
		out.WriteString("\nDifferences are this run's value less the other's, over the same examples; p is McNemar's exact test.\n")
	}
	return out.String()
}

// Heading names the columns of Rows.
var Heading = []string{"task", "metric", "value", "95 % interval", "guessing", "centred", "examples", "skipped", "examples/s"}

// Rows are the results as a table.
func (r *Report) Rows() [][]string {
	var rows [][]string
	for _, result := range r.Results {
		rows = append(rows, result.row())
	}
	return rows
}

func (r Result) row() []string {
	if r.Problem != "" {
		return []string{r.Task, "failed", "-", "-", "-", "-", "-", "-", "-"}
	}
	optional := func(value *float64) string {
		if value == nil {
			return "-"
		}
		return fmt.Sprintf("%.4f", *value)
	}
	speed := "-"
	if r.Seconds > 0 {
		speed = fmt.Sprintf("%.1f", float64(r.Examples)/r.Seconds)
	}
	return []string{r.Task, r.Metric, fmt.Sprintf("%.4f", r.Value), fmt.Sprintf("%.4f to %.4f", r.Interval.Low, r.Interval.High),
		optional(r.Baseline), optional(r.Centred), fmt.Sprint(r.Examples), fmt.Sprint(r.Skipped.Count), speed}
}

// notes tell what the table does not.
func (r Result) notes() []string {
	var notes []string
	add := func(format string, arguments ...any) {
		notes = append(notes, r.Task+": "+fmt.Sprintf(format, arguments...))
	}
	if r.Problem != "" {
		add("failed: %s", strings.TrimPrefix(r.Problem, r.Task+": "))
	}
	if r.Skipped.Count > 0 {
		add("%d examples skipped, such as %s", r.Skipped.Count, strings.Join(r.Skipped.Reasons, "; "))
	}
	if r.Shortened > 0 {
		add("the contexts of %d examples were longer than the model's and lost their first tokens", r.Shortened)
	}
	for _, k := range slices.Sorted(maps.Keys(r.PassAt)) {
		add("pass@%d %.4f", k, r.PassAt[k])
	}
	if r.Note != "" {
		add("%s", r.Note)
	}
	return notes
}

// table writes a Markdown table.
func table(out *strings.Builder, heading []string, rows [][]string) {
	line := func(cells []string) {
		for i, cell := range cells {
			cells[i] = strings.ReplaceAll(cell, "|", `\|`)
		}
		out.WriteString("| " + strings.Join(cells, " | ") + " |\n")
	}
	line(slices.Clone(heading))
	out.WriteString(strings.Repeat("|---", len(heading)) + "|\n")
	for _, row := range rows {
		line(row)
	}
}
