package eval

import (
	"fmt"
	"math/rand/v2"
)

// Comparison sets a report beside another run's, example by example.
type Comparison struct {
	Other string     `json:"other"`
	Step  int        `json:"step"`
	Tasks []Compared `json:"tasks"`
}

// Compared is one task of two runs.
type Compared struct {
	Task   string `json:"task"`
	Metric string `json:"metric"`
	// Pairs is how many examples both runs were asked; First and Second are the values on these.
	Pairs  int     `json:"pairs"`
	First  float64 `json:"first"`
	Second float64 `json:"second"`
	// Difference is First less Second; its interval is a bootstrap over pairs.
	Difference float64  `json:"difference"`
	Interval   Interval `json:"interval"`
	// P is McNemar's p-value, where each example is right or wrong.
	P *float64 `json:"p,omitempty"`
	// Problem is why the task cannot be compared.
	Problem string `json:"problem,omitempty"`
}

// Compare pairs the outcomes of the tasks that both reports have.
func Compare(first, second *Report) *Comparison {
	c := &Comparison{Other: second.Run, Step: second.Step}
	for _, a := range first.Results {
		for _, b := range second.Results {
			if a.Task == b.Task && a.Problem == "" && b.Problem == "" {
				c.Tasks = append(c.Tasks, compare(a, b))
			}
		}
	}
	return c
}

func compare(a, b Result) Compared {
	c := Compared{Task: a.Task, Metric: a.Metric}
	others := map[string]Outcome{}
	for _, o := range b.Outcomes {
		others[o.ID] = o
	}
	var first, second []Outcome
	binary, onlyFirst, onlySecond := true, 0, 0
	for _, o := range a.Outcomes {
		other, ok := others[o.ID]
		if !ok {
			continue
		}
		if other.Weight != o.Weight {
			c.Problem = fmt.Sprintf("%s has %g bytes here and %g there: corpus, tokenizer or context differ, and only the values themselves compare", o.ID, o.Weight, other.Weight)
			return c
		}
		first, second = append(first, o), append(second, other)
		binary = binary && o.Weight == 1 && (o.Value == 0 || o.Value == 1) && (other.Value == 0 || other.Value == 1)
		if o.Value > other.Value {
			onlyFirst++
		} else if o.Value < other.Value {
			onlySecond++
		}
	}
	if c.Pairs = len(first); c.Pairs == 0 {
		c.Problem = "the runs were asked no example in common"
		return c
	}
	c.First, c.Second = ratio(first), ratio(second)
	c.Difference = c.First - c.Second
	c.Interval = pairedBootstrap(first, second)
	if binary {
		p := McNemar(onlyFirst, onlySecond)
		c.P = &p
	}
	return c
}

// pairedBootstrap is the percentile interval of the difference of ratios over resampled pairs.
func pairedBootstrap(first, second []Outcome) Interval {
	a, b := make([]Outcome, len(first)), make([]Outcome, len(first))
	return percentile(1, func(random *rand.Rand) float64 {
		for i := range a {
			at := random.IntN(len(first))
			a[i], b[i] = first[at], second[at]
		}
		return ratio(a) - ratio(b)
	})
}

// ComparisonHeading names the columns of TableRows.
var ComparisonHeading = []string{"task", "metric", "this", "other", "difference", "95 % interval", "pairs", "p"}

// TableRows are the comparison as a table.
func (c *Comparison) TableRows() [][]string {
	var rows [][]string
	for _, t := range c.Tasks {
		if t.Problem != "" {
			rows = append(rows, []string{t.Task, t.Problem, "-", "-", "-", "-", "-", "-"})
			continue
		}
		p := "-"
		if t.P != nil {
			p = fmt.Sprintf("%.3g", *t.P)
		}
		rows = append(rows, []string{t.Task, t.Metric, fmt.Sprintf("%.4f", t.First), fmt.Sprintf("%.4f", t.Second), fmt.Sprintf("%+.4f", t.Difference),
			fmt.Sprintf("%+.4f to %+.4f", t.Interval.Low, t.Interval.High), fmt.Sprint(t.Pairs), p})
	}
	return rows
}
