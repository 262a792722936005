package eval

import (
	"fmt"
	"math"
	"slices"
)

// Outcome is what one example gave.
type Outcome struct {
	// ID names the example, the same in every evaluation of the task: what comparisons pair by.
	ID string `json:"id"`
	// Value is 1 for correct and 0 for wrong, between them for half right or the mean of samples, or in bits per byte the bits.
	Value float64 `json:"value"`
	// Weight is 1, or in bits per byte the bytes. A result is the sum of values over the sum of weights.
	Weight float64 `json:"weight"`
	// Answer is what a model said, where it says something.
	Answer string `json:"answer,omitempty"`
}

// Skipped counts examples that could not be used, and says why for the first few.
type Skipped struct {
	Count   int      `json:"count"`
	Reasons []string `json:"reasons,omitempty"`
}

const reasonsKept = 3

func (s *Skipped) add(reason string) {
	if s.Count++; len(s.Reasons) < reasonsKept {
		s.Reasons = append(s.Reasons, reason)
	}
}

// Result is what one task gave.
type Result struct {
	Task   string `json:"task"`
	Metric string `json:"metric"`
	// Value lies in Interval with 95 % confidence, as far as chance in the choice of examples goes.
	Value    float64  `json:"value"`
	Interval Interval `json:"interval"`
	Examples int      `json:"examples"`
	Skipped  Skipped  `json:"skipped"`
	// Shortened counts examples whose context had to lose tokens to fit the model's.
	Shortened int `json:"shortened,omitempty"`
	// Baseline is the value that guessing gives; Centred is (Value - Baseline)/(1 - Baseline). Bits per byte have none.
	Baseline *float64 `json:"baseline,omitempty"`
	Centred  *float64 `json:"centred,omitempty"`
	// Suite is how many tasks there are in the group whose mean this value goes into, where the group may have any number.
	Suite int `json:"suite,omitempty"`
	// PassAt holds pass@k for several k, where several samples were drawn.
	PassAt map[int]float64 `json:"pass_at,omitempty"`
	// Note is what a reader should know, such as how code was run.
	Note    string  `json:"note,omitempty"`
	Seconds float64 `json:"seconds"`
	// Problem is why there is no value; "" if there is one.
	Problem string `json:"problem,omitempty"`

	Outcomes []Outcome `json:"-"`
}

// Failed is a task that gave no value.
func Failed(task string, err error) Result { return Result{Task: task, Problem: err.Error()} }

// finish computes value and interval of the outcomes.
func (r *Result) finish(seed uint64) error {
	r.Examples = len(r.Outcomes)
	if r.Examples == 0 {
		reason := "the task has no examples"
		if len(r.Skipped.Reasons) > 0 {
			reason = r.Skipped.Reasons[0]
		}
		return fmt.Errorf("%s: all %d examples were skipped; the first: %s", r.Task, r.Skipped.Count, reason)
	}
	for _, o := range r.Outcomes {
		if math.IsNaN(o.Value) || math.IsInf(o.Value, 0) { // JSON has no such number, and no report would hold it
			return fmt.Errorf("%s: the value of %s is %g: the training diverged, or the weights are damaged; move the newest step-* folder away to evaluate the one before", r.Task, o.ID, o.Value)
		}
	}
	r.Value = ratio(r.Outcomes)
	if slices.ContainsFunc(r.Outcomes, func(o Outcome) bool { return o.Weight != 1 || (o.Value != 0 && o.Value != 1) }) {
		r.Interval = bootstrap(r.Outcomes, seed)
	} else {
		r.Interval = Wilson(int(math.Round(r.Value*float64(r.Examples))), r.Examples)
	}
	if r.Baseline != nil {
		centred := centre(r.Value, *r.Baseline)
		r.Centred = &centred
	}
	return nil
}

func centre(value, baseline float64) float64 { return (value - baseline) / (1 - baseline) }

// Mean is the mean of several tasks' centred values, such as CORE.
type Mean struct {
	Name     string   `json:"name"`
	Value    float64  `json:"value"`
	Interval Interval `json:"interval"`
	Tasks    int      `json:"tasks"`
}

// MeanOf averages the centred values of results with one. Its interval takes the tasks' errors as independent and normal.
func MeanOf(name string, results []Result) (Mean, bool) {
	m := Mean{Name: name}
	variance := 0.0
	for _, r := range results {
		if r.Centred == nil {
			continue
		}
		m.Tasks++
		m.Value += *r.Centred
		deviation := (r.Interval.High - r.Interval.Low) / 2 / z95 / (1 - *r.Baseline)
		variance += deviation * deviation
	}
	if m.Tasks == 0 {
		return m, false
	}
	n := float64(m.Tasks)
	m.Value /= n
	half := z95 * math.Sqrt(variance) / n
	m.Interval = Interval{m.Value - half, m.Value + half}
	return m, true
}
