package runlog

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"
)

// Summary is a run in a few numbers. A number that the records do not give is NaN, a time that they do not give zero.
type Summary struct {
	Steps          int     // the highest step of a step record
	LastLoss       float64 // of the last step, in nats a token
	BestValidation float64 // lowest bits per byte of an eval
	BestStep       int     // the step of BestValidation
	Tokens         int64   // trained on
	// Seconds is the time spent in steps, where the records tell it; else from Started to Ended.
	Seconds         float64
	TokensPerSecond float64 // median over the steps: a pause or a compilation does not move it
	Started, Ended  time.Time
	Skipped         int // lines that could not be read; set by SummarizeFile and List
}

// Summarize sums up records as Read returns them.
func Summarize(records []Record) Summary {
	s := Summary{LastLoss: math.NaN(), BestValidation: math.NaN(), TokensPerSecond: math.NaN()}
	var tokens float64
	var rates []float64
	for _, r := range records {
		s.see(r.Time)
		switch r.Kind {
		case KindStep:
			s.Steps = max(s.Steps, r.Step)
			if loss, ok := r.Values[Loss]; ok {
				s.LastLoss = loss
			}
			tokens += finite(r.Values[Tokens])
			s.Seconds += finite(r.Values[Seconds])
			if rate := stepRate(r); rate > 0 && !math.IsInf(rate, 0) {
				rates = append(rates, rate)
			}
		case KindEval:
			if bpb, ok := r.Values[BitsPerByte]; ok && !(bpb >= s.BestValidation) && !math.IsNaN(bpb) {
				s.BestValidation, s.BestStep = bpb, r.Step
			}
		}
	}
	s.Tokens = int64(tokens)
	if s.Seconds == 0 {
		s.Seconds = s.Ended.Sub(s.Started).Seconds()
	}
	if len(rates) > 0 {
		s.TokensPerSecond = median(rates)
	}
	return s
}

// SummarizeFile reads a file of metrics and sums it up.
func SummarizeFile(path string) (Summary, error) {
	records, bad, err := Read(path)
	if err != nil {
		return Summarize(nil), err
	}
	s := Summarize(records)
	s.Skipped = len(bad)
	return s, nil
}

func (s *Summary) see(t time.Time) {
	if t.IsZero() {
		return
	}
	if s.Started.IsZero() || t.Before(s.Started) {
		s.Started = t
	}
	if t.After(s.Ended) {
		s.Ended = t
	}
}

func stepRate(r Record) float64 {
	if rate, ok := r.Values[TokensPerSecond]; ok {
		return rate
	}
	return r.Values[Tokens] / r.Values[Seconds]
}

func finite(x float64) float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return 0
	}
	return x
}

// median reorders its values, of which there is at least one.
func median(values []float64) float64 {
	slices.Sort(values)
	middle := len(values) / 2
	if len(values)%2 == 1 {
		return values[middle]
	}
	return (values[middle-1] + values[middle]) / 2
}

// MarshalJSON writes what is NaN or infinite as null, since JSON has no number for it, and times that are zero too.
func (s Summary) MarshalJSON() ([]byte, error) {
	number := func(x float64) *float64 {
		if finite(x) != x {
			return nil
		}
		return &x
	}
	moment := func(t time.Time) *time.Time {
		if t.IsZero() {
			return nil
		}
		return &t
	}
	text, err := json.Marshal(struct {
		Steps           int        `json:"steps"`
		LastLoss        *float64   `json:"last_loss"`
		BestValidation  *float64   `json:"best_validation"`
		BestStep        int        `json:"best_step"`
		Tokens          int64      `json:"tokens"`
		Seconds         float64    `json:"seconds"`
		TokensPerSecond *float64   `json:"tokens_per_second"`
		Started         *time.Time `json:"started"`
		Ended           *time.Time `json:"ended"`
		Skipped         int        `json:"skipped"`
	}{s.Steps, number(s.LastLoss), number(s.BestValidation), s.BestStep, s.Tokens, s.Seconds,
		number(s.TokensPerSecond), moment(s.Started), moment(s.Ended), s.Skipped})
	if err != nil {
		return nil, fmt.Errorf("encode summary: %w", err)
	}
	return text, nil
}

// Smooth is the exponential moving average of the values with weight beta on the past, corrected for its start at
// zero (Adam's correction, arXiv:1412.6980, section 3): the first smoothed value is the first value. beta <= 0
// smooths nothing, beta >= 1 gives the running mean, the limit. A value that is NaN or infinite leaves the average
// as it is; before the first finite value the result is NaN.
func Smooth(values []float64, beta float64) []float64 {
	smooth := make([]float64, len(values))
	if !(beta > 0) {
		beta = 0
	}
	mean, weight := math.NaN(), 0.0 // weight is 1+beta+beta²+…, one term for each value seen
	for i, value := range values {
		if finite(value) == value {
			weight = min(beta, 1)*weight + 1
			if weight == 1 {
				mean = value
			} else {
				mean += (value - mean) / weight
			}
		}
		smooth[i] = mean
	}
	return smooth
}
