package web

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"tandem/workbench/chat"
	"tandem/workbench/generate"
)

// reader reads the value of a field, which is never null, into a request.
type reader func(r *request, name string, raw json.RawMessage) *apiError

// sharedFields are those of both kinds of completion. top_k, min_p, repetition_penalty and overflow are not OpenAI's.
var sharedFields = map[string]reader{
	"model": func(r *request, name string, raw json.RawMessage) (err *apiError) {
		r.model, err = text(name, raw)
		return err
	},
	"stream": func(r *request, name string, raw json.RawMessage) (err *apiError) {
		r.stream, err = boolean(name, raw)
		return err
	},
	"stream_options": readStreamOptions,
	"max_tokens":     readMaxTokens,
	"stop":           readStop,
	"seed": func(r *request, name string, raw json.RawMessage) *apiError {
		seed, err := integer(name, raw, -1<<63, 1<<63-1)
		r.sampling.Seed, r.seeded = uint64(seed), true
		return err
	},
	"temperature": sampled(func(s *generate.Sampling, value float64) { s.Temperature = value }),
	"top_p": sampled(func(s *generate.Sampling, value float64) {
		// For OpenAI 0 keeps only the likeliest token, for the engine it is no limit.
		if s.TopP = value; value == 0 {
			s.TopP = 1e-9
		}
	}),
	"min_p":              sampled(func(s *generate.Sampling, value float64) { s.MinP = value }),
	"repetition_penalty": sampled(func(s *generate.Sampling, value float64) { s.RepetitionPenalty = value }),
	"top_k": func(r *request, name string, raw json.RawMessage) *apiError {
		k, err := integer(name, raw, 0, 1<<24)
		r.sampling.TopK = int(k)
		return err
	},
	"overflow": func(r *request, name string, raw json.RawMessage) *apiError {
		value, err := text(name, raw)
		if err != nil {
			return err
		}
		known := map[string]generate.Overflow{"error": generate.OverflowError, "slide": generate.OverflowSlide, "continue": generate.OverflowContinue, "forget": chat.OverflowForget}
		overflow, ok := known[value]
		if !ok {
			return oneOf(name, value, slices.Collect(maps.Keys(known)))
		}
		r.overflow = overflow
		return nil
	},
	// These name the request in a provider's accounts and have no bearing on the answer.
	"user": skip, "safety_identifier": skip, "prompt_cache_key": skip, "metadata": skip,
}

// fixedFields are OpenAI's that this server has one choice for: that value is accepted, written as compact JSON.
var fixedFields = map[string][]string{
	"n":                   {"1"},
	"frequency_penalty":   {"0", "0.0"},
	"presence_penalty":    {"0", "0.0"},
	"logit_bias":          {"{}"},
	"store":               {"false"},
	"service_tier":        {`"auto"`, `"default"`},
	"response_format":     {`{"type":"text"}`},
	"modalities":          {`["text"]`},
	"tools":               {"[]"},
	"functions":           {"[]"},
	"tool_choice":         {`"none"`, `"auto"`},
	"parallel_tool_calls": {"false", "true"},
	"best_of":             {"1"},
	"echo":                {"false"},
	"suffix":              {`""`},
	"top_logprobs":        {"0"},
}

func skip(*request, string, json.RawMessage) *apiError { return nil }

// sampled reads a number of generate.Sampling, whose own limits hold.
func sampled(set func(*generate.Sampling, float64)) reader {
	return func(r *request, name string, raw json.RawMessage) *apiError {
		value, err := number(name, raw)
		if err != nil {
			return err
		}
		var alone generate.Sampling
		set(&alone, value)
		if err := alone.Validate(); err != nil {
			return invalid(name, "%s", err.Error())
		}
		set(&r.sampling, value)
		return nil
	}
}

func readStreamOptions(r *request, name string, raw json.RawMessage) *apiError {
	members, err := object(name, raw)
	if err != nil {
		return err
	}
	for _, m := range members {
		switch m.name {
		case "include_usage":
			if r.includeUsage, err = boolean(join(name, m.name), m.raw); err != nil {
				return err
			}
		case "include_obfuscation":
			if on, err := boolean(join(name, m.name), m.raw); err != nil || on {
				return invalid(join(name, m.name), "%s must be false; this server does not pad its events", join(name, m.name))
			}
		default:
			return unknownField(join(name, m.name), []string{"include_usage", "include_obfuscation"})
		}
	}
	return nil
}

func readMaxTokens(r *request, name string, raw json.RawMessage) *apiError {
	if r.maxTokens > 0 {
		return invalid(name, "max_tokens and max_completion_tokens are the same; give one of them")
	}
	count, err := integer(name, raw, 1, int64(r.limits.MaxTokens))
	r.maxTokens = int(count)
	return err
}

func readStop(r *request, name string, raw json.RawMessage) *apiError {
	list := []json.RawMessage{raw}
	if kindOf(raw) == "an array" {
		var err *apiError
		if list, err = array(name, raw); err != nil {
			return err
		}
	}
	for _, raw := range list {
		stop, err := text(name, raw)
		if err != nil {
			return err
		}
		r.stop = append(r.stop, stop)
	}
	if err := (chat.Options{Stop: r.stop}).Validate(); err != nil {
		return invalid(name, "%s", err.Error())
	}
	return nil
}

// readFields reads a whole request.
func (r *request) readFields(body []byte, own map[string]reader) *apiError {
	raw, err := parse(body)
	if err != nil {
		return err
	}
	members, err := object("", raw)
	if err != nil {
		return err
	}
	for _, m := range members {
		read := own[m.name]
		if read == nil {
			read = sharedFields[m.name]
		}
		if read == nil && fixedFields[m.name] != nil {
			read = readFixed
		}
		if read == nil {
			return unknownField(m.name, slices.Concat(slices.Collect(maps.Keys(own)), slices.Collect(maps.Keys(sharedFields))))
		}
		if err := read(r, m.name, m.raw); err != nil {
			return err
		}
	}
	return nil
}

func readFixed(_ *request, name string, raw json.RawMessage) *apiError {
	var compact bytes.Buffer
	if err := json.Compact(&compact, raw); err == nil && slices.Contains(fixedFields[name], compact.String()) {
		return nil
	}
	e := invalid(name, "%s is %s, which this server cannot do; leave it out, or give %s", name, clip(compact.String()), strings.Join(fixedFields[name], " or "))
	e.code = "unsupported_value"
	return e
}

func unknownField(name string, known []string) *apiError {
	e := invalid(clip(name), "unknown field %q; the known ones are %s", clip(name), strings.Join(slices.Sorted(slices.Values(known)), ", "))
	e.code = "unknown_parameter"
	return e
}

// missing says that a field must be given.
func missing(name, what string) *apiError {
	return invalid(name, "%s is missing; give %s", name, what)
}
