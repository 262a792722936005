package lab

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"tandem/blocks"
	"tandem/models"
	"tandem/workbench/config"
	"tandem/workbench/plot"
)

// Architecture is a model that may be drawn, counted and trained. It holds no weights.
type Architecture struct {
	// Config is all that a training of it needs.
	Config *config.Config
	model  *models.Model
	plan   plan
	err    error
}

// Model describes a model by its pattern ("T12 M8", "(TM)10", …) or by a configuration's name ("tiny", …); "" is a
// pattern of transformer blocks if options have a Depth, and else tiny. Nothing is allocated. An error names the place in
// the pattern.
func Model(pattern string, options ...Option) *Architecture {
	m := describe(pattern, options...)
	if m.err != nil {
		display.Show(Panel{Err: m.err, Note: PointAt(pattern, m.err)})
	}
	return m
}

// describe is Model without showing errors.
func describe(pattern string, options ...Option) *Architecture {
	m := &Architecture{plan: planOf(options)}
	name, overrides := "", m.plan.overrides
	switch {
	case slices.Contains(config.Names(), pattern):
		name = pattern
	case pattern != "":
		overrides = append([]string{"pattern=" + pattern}, overrides...)
	}
	if m.Config, m.err = config.Load(name, overrides); m.err == nil {
		m.model, m.err = models.New(m.Config.Model)
	}
	return m
}

// column finds the place that an error about a pattern names.
var column = regexp.MustCompile(`^pattern .*: column (\d+): `)

// PointAt draws a caret below the place in a pattern that an error names; "" if it names none.
func PointAt(pattern string, err error) string {
	found := column.FindStringSubmatch(err.Error())
	if found == nil {
		return ""
	}
	at, _ := strconv.Atoi(found[1])
	before := utf8.RuneCountInString(pattern[:min(max(at-1, 0), len(pattern))])
	return pattern + "\n" + strings.Repeat(" ", before) + "^"
}

// Err is why there is no model.
func (m *Architecture) Err() error { return m.err }

// Pattern is the canonical pattern, "" of a failed model.
func (m *Architecture) Pattern() string {
	if m.err != nil {
		return ""
	}
	return m.model.Config.Pattern.String()
}

// Parameters is the number of parameters.
func (m *Architecture) Parameters() int {
	if m.err != nil {
		return 0
	}
	return m.model.Parameters()
}

// FLOPs of one training step, forward and backward.
func (m *Architecture) FLOPs() float64 {
	if m.err != nil {
		return 0
	}
	o := m.Config.Train.Resolved()
	return float64(o.Accumulate) * m.model.FLOPs(o.Batch, m.model.Config.Context)
}

// StateBytes is what a conversation of so many tokens has to keep between two of them, on a GPU: a fixed size for Mamba
// blocks, and keys and values of each token for transformer blocks.
func (m *Architecture) StateBytes(tokens int) int64 {
	if m.err != nil {
		return 0
	}
	line := m.model.StateLine()
	return line.Fixed + int64(tokens)*line.PerToken
}

// Show draws the stack, counts parameters and FLOPs, and predicts the memory that it takes.
func (m *Architecture) Show() *Architecture {
	if m.err != nil {
		return m
	}
	report, err := Memory(m.Config, nil)
	if err != nil {
		m.err = fail(err)
		return m
	}
	o := m.Config.Train.Resolved()
	tokens := o.Batch * o.Accumulate * m.model.Config.Context
	rows := fmt.Sprint(o.Batch)
	if o.Accumulate > 1 {
		rows = fmt.Sprintf("%d times %d", o.Accumulate, o.Batch)
	}
	smallest := "It fits no card that is known."
	if report.SmallestGPU != "" {
		smallest = "The smallest card that it can be trained on so: " + report.SmallestGPU + "."
	}
	display.Show(Panel{
		Picture: m.Picture(),
		Tables:  []Table{accountTable(m.model.Account()), memoryTable(report)},
		Note: fmt.Sprintf("A training step of %s tokens (%s rows of %d) takes %s, %s a token. A conversation of %d tokens keeps %s of state. %s",
			Grouped(tokens), rows, m.model.Config.Context, scaled(m.FLOPs(), "FLOPs"), scaled(m.FLOPs()/float64(tokens), "FLOPs"),
			m.model.Config.Context, scaled(float64(m.StateBytes(m.model.Config.Context)), "B"), smallest),
	})
	return m
}

// DrawModel draws the stack of a configured model to a .svg or .png file.
func DrawModel(c *config.Config, path string) error {
	model, err := models.New(c.Model)
	if err != nil {
		return err
	}
	return plot.Save(path, (&Architecture{Config: c, model: model}).Picture())
}

// Picture draws the stack. That of a failed model has nothing in it.
func (m *Architecture) Picture() plot.Picture {
	if m.err != nil {
		return plot.Row{}
	}
	c := m.model.Config
	stack := plot.Stack{Title: fmt.Sprintf("%s: %d layers, width %d, context %d, vocabulary %d", c.Pattern, c.Pattern.Depth(), c.Width, c.Context, c.Vocab)}
	for _, kind := range c.Pattern.Kinds() {
		color := slices.IndexFunc(blocks.Kinds, func(k blocks.Kind) bool { return k.Letter == kind.Letter })
		stack.Layers = append(stack.Layers, plot.Layer{Label: string(kind.Letter), Kind: kind.Name, Color: color})
	}
	return stack
}

// accountTable counts by part; blocks of the same kind and size share a row.
func accountTable(account models.Account) Table {
	table := Table{Heading: []string{"part", "count", "parameters each", "parameters", "share"}}
	var rows []models.Row
	counts := map[models.Row]int{}
	for _, row := range account.Rows {
		if row.Kind != "" {
			row.Name = row.Kind + " block"
		}
		if counts[row]++; counts[row] == 1 {
			rows = append(rows, row)
		}
	}
	for _, row := range rows {
		count := counts[row]
		table.Rows = append(table.Rows, []string{row.Name, fmt.Sprint(count), Grouped(row.Parameters),
			Grouped(count * row.Parameters), fmt.Sprintf("%.1f%%", 100*float64(count)*row.Share)})
	}
	table.Rows = append(table.Rows, []string{"total", "", "", Grouped(account.Parameters), "100.0%"})
	return table
}
