package runlog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"
)

// The kinds of record that this package gives a meaning to. Others may be used freely.
const (
	KindStep   = "step"   // one training step, or the mean over a few
	KindEval   = "eval"   // an evaluation
	KindSample = "sample" // generated text
	KindEvent  = "event"  // anything that happened: started, interrupted, a skipped spike
	KindSave   = "save"   // a checkpoint was saved
	KindResume = "resume" // training goes on from Step; earlier records with a later step no longer count
)

// The values that Summarize looks for.
const (
	Loss            = "loss"              // of a step: mean over its tokens, in nats
	BitsPerByte     = "bpb"               // of an eval: lower is better
	Tokens          = "tokens"            // of a step: tokens trained on since the step record before it
	Seconds         = "seconds"           // of a step: wall-clock time since the step record before it
	TokensPerSecond = "tokens_per_second" // of a step: where absent, Tokens/Seconds
	DataWait        = "data_wait"         // of a step: the share of Seconds that was spent waiting for data
)

// Record is one line of metrics. In the file its fields, values and texts are one flat JSON object:
//
//	{"kind":"step","step":12,"time":"2026-01-02T15:04:05.6Z","loss":3.2,"tokens":65536}
type Record struct {
	Kind string
	Step int
	// Time is stored in UTC; a Writer stamps the zero time with the present.
	Time time.Time
	// Values may be any numbers: those that JSON lacks are written as the strings "NaN", "+Inf" and "-Inf".
	Values map[string]float64
	// Text that is not valid UTF-8 gets U+FFFD in place of the wrong bytes.
	Text map[string]string
}

// MarshalJSON writes the record as one flat object: kind, step, time, then values and texts by name.
func (r Record) MarshalJSON() ([]byte, error) {
	if r.Kind == "" {
		return nil, errors.New("a record has no kind; use step, eval, sample, event, save or resume")
	}
	var buf bytes.Buffer
	fmt.Fprintf(&buf, `{"kind":%s,"step":%d`, encodeText(r.Kind), r.Step)
	if !r.Time.IsZero() {
		stamp, err := r.Time.UTC().MarshalJSON()
		if err != nil {
			return nil, fmt.Errorf("a record of kind %q: %w", r.Kind, err)
		}
		fmt.Fprintf(&buf, `,"time":%s`, stamp)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Values)) {
		if err := checkName(name); err != nil {
			return nil, err
		}
		fmt.Fprintf(&buf, ",%s:%s", encodeText(name), encodeNumber(r.Values[name]))
	}
	for _, name := range slices.Sorted(maps.Keys(r.Text)) {
		if err := checkName(name); err != nil {
			return nil, err
		}
		if _, both := r.Values[name]; both {
			return nil, fmt.Errorf("field %q of a record is both a value and a text; rename one", name)
		}
		fmt.Fprintf(&buf, ",%s:%s", encodeText(name), encodeText(r.Text[name]))
	}
	buf.WriteByte('}')
	return buf.Bytes(), nil
}

// UnmarshalJSON reads a flat object. Numbers, and the strings "NaN", "+Inf" and "-Inf", become Values, other strings
// Text; null is left out. Anything else is an error.
func (r *Record) UnmarshalJSON(line []byte) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(line, &fields); err != nil {
		return err
	}
	*r = Record{}
	for name, raw := range fields {
		if err := r.set(name, raw); err != nil {
			return fmt.Errorf("field %q is %.40s: %w", name, raw, err)
		}
	}
	if r.Kind == "" {
		return errors.New(`field "kind" is missing`)
	}
	return nil
}

func (r *Record) set(name string, raw json.RawMessage) error {
	switch name {
	case "kind":
		return json.Unmarshal(raw, &r.Kind)
	case "step":
		return json.Unmarshal(raw, &r.Step)
	case "time":
		return json.Unmarshal(raw, &r.Time)
	}
	switch {
	case string(raw) == "null":
		return nil
	case raw[0] == '"' && !isNonFinite(raw):
		var text string
		if err := json.Unmarshal(raw, &text); err != nil {
			return err
		}
		put(&r.Text, name, text)
	case raw[0] == '"' || raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9':
		value, err := strconv.ParseFloat(string(bytes.Trim(raw, `"`)), 64)
		if err != nil {
			return err
		}
		put(&r.Values, name, value)
	default:
		return errors.New("want a number or a string")
	}
	return nil
}

func put[V any](m *map[string]V, name string, value V) {
	if *m == nil {
		*m = map[string]V{}
	}
	(*m)[name] = value
}

func checkName(name string) error {
	switch {
	case name == "kind" || name == "step" || name == "time":
		return fmt.Errorf("field %q of a record is taken by the record itself; choose another name", name)
	case name == "" || !utf8.ValidString(name):
		return fmt.Errorf("field name %q of a record is empty or not valid UTF-8; choose another", name)
	}
	return nil
}

func isNonFinite(raw []byte) bool {
	return string(raw) == `"NaN"` || string(raw) == `"+Inf"` || string(raw) == `"-Inf"`
}

func encodeNumber(x float64) []byte {
	switch {
	case math.IsNaN(x):
		return []byte(`"NaN"`)
	case math.IsInf(x, 1):
		return []byte(`"+Inf"`)
	case math.IsInf(x, -1):
		return []byte(`"-Inf"`)
	}
	text, _ := json.Marshal(x) // finite numbers always encode
	return text
}

// encodeText writes a string. A text that happens to be "NaN", "+Inf" or "-Inf" (a model may say anything) gets its
// first letter escaped: every JSON reader sees the same string, and ours does not take it for a number.
func encodeText(s string) []byte {
	text, _ := json.Marshal(s) // strings always encode
	if isNonFinite(text) {
		return fmt.Appendf(nil, `"\u%04x%s`, text[1], text[2:])
	}
	return text
}
