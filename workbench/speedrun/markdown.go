package speedrun

import (
	"fmt"
	"strings"

	"tandem/workbench/lab"
)

// Markdown is the report for people.
func (r *Report) Markdown() string {
	var out strings.Builder
	plan := r.Plan
	fmt.Fprintf(&out, "# Speedrun %s\n\nPattern %s on %s; text %s, conversations %s.\n", plan.Name, plan.Pattern, plan.Backend, plan.Config.Data, plan.Conversations)
	out.WriteString("\n## Results\n\n" + strings.Join(r.results(), "\n") + "\n")
	out.WriteString("\n## Times\n\n")
	var times [][]string
	for _, stage := range Stages {
		if made := r.Stages[stage]; made != nil && made.Done {
			times = append(times, []string{stage, duration(made.Seconds)})
		}
	}
	markdownTable(&out, []string{"stage", "time"}, times)
	for _, evaluation := range r.Evaluations {
		fmt.Fprintf(&out, "\n## Evaluation of %s\n\n", evaluation.Run)
		markdownTable(&out, lab.EvalHeading, evaluation.Rows())
		for _, result := range evaluation.Results {
			if result.Note != "" {
				fmt.Fprintf(&out, "\n%s: %s.\n", result.Task, result.Note)
			}
		}
	}
	if len(r.Transcript) > 0 {
		fmt.Fprintf(&out, "\n## A chat with %s\n\nThe likeliest token each time, %d at most.\n", r.Tuned.Run, reportTokens)
		for _, a := range r.Transcript {
			answer := a.Answer
			if a.Problem != "" {
				answer += " (no answer: " + a.Problem + ")"
			}
			fmt.Fprintf(&out, "\n**%s**\n\n%s\n", a.Question, indented(answer))
		}
	}
	out.WriteString("\n## The plan\n\n")
	markdownTable(&out, PlanHeading, plan.Rows())
	out.WriteString("\n## To go on\n\n" + indented(strings.Join(r.Commands(), "\n")) + "\n")
	return out.String()
}

// PlanHeading names the columns of a plan's Rows.
var PlanHeading = []string{"key", "value", "from"}

// Rows are the plan's values and estimates as a table.
func (p Plan) Rows() (rows [][]string) {
	for _, values := range [][]Value{p.Values, p.Estimates} {
		for _, v := range values {
			rows = append(rows, []string{v.Key, v.String(), v.Formula})
		}
	}
	return rows
}

// results are the numbers that matter, a line each.
func (r *Report) results() (lines []string) {
	if b := r.Base; b != nil {
		lines = append(lines, fmt.Sprintf("- %s: %s parameters, %d steps, %s tokens in %s; validation %.3f bits per byte (a unigram model: %.3f)",
			b.Run, lab.Grouped(b.Parameters), b.Steps, lab.Grouped(b.Tokens), duration(b.Seconds), b.BPB, b.UnigramBPB))
	}
	if t := r.Tuned; t != nil {
		line := fmt.Sprintf("- %s: %d steps, %s tokens in %s", t.Run, t.Steps, lab.Grouped(t.Tokens), duration(t.Seconds))
		if t.BPB > 0 {
			line += fmt.Sprintf("; %.3f bits per byte of the assistant's text (before: %.3f)", t.BPB, t.Before)
		}
		lines = append(lines, line)
	}
	return lines
}

// Commands are those to go on with.
func (r *Report) Commands() (lines []string) {
	if r.Tuned != nil {
		lines = append(lines, "workbench chat "+r.Plan.Tuned, "workbench serve "+r.Plan.Tuned)
	}
	if r.Base != nil {
		lines = append(lines, fmt.Sprintf("workbench train --resume --run %s --steps %d", r.Plan.Base, 2*r.Base.Steps))
	}
	return lines
}

// String is the report in a few lines.
func (r *Report) String() string {
	lines := r.results()
	for _, a := range r.Transcript {
		lines = append(lines, "", "user: "+a.Question, "assistant: "+a.Answer)
	}
	if commands := r.Commands(); len(commands) > 0 {
		lines = append(lines, "", "to go on:", indented(strings.Join(commands, "\n")))
	}
	return strings.Join(lines, "\n")
}

func markdownTable(out *strings.Builder, heading []string, rows [][]string) {
	line := func(cells []string) {
		for _, cell := range cells {
			out.WriteString("| " + strings.ReplaceAll(cell, "|", `\|`) + " ")
		}
		out.WriteString("|\n")
	}
	line(heading)
	out.WriteString(strings.Repeat("|---", len(heading)) + "|\n")
	for _, row := range rows {
		line(row)
	}
}

// indented is text as a block of code.
func indented(text string) string {
	return "    " + strings.ReplaceAll(text, "\n", "\n    ")
}
