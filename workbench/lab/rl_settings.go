package lab

import (
	"cmp"
	"fmt"
)

// RLSettings say how answers are drawn and learned from in a training on rewards. Each zero value means the default named
// with it, which is nanochat's.
type RLSettings struct {
	// Questions are asked in a round; 0 is 16.
	Questions int `json:"questions"`
	// Group is the answers drawn to each, which are compared with each other; 0 is 16.
	Group int `json:"group"`
	// MaxTokens of an answer; 0 is 256.
	MaxTokens int `json:"max_tokens"`
	// Temperature and TopK draw the answers; 0 is 1, and 50. A negative TopK is none.
	Temperature float64 `json:"temperature"`
	TopK        int     `json:"top_k"`
	PolicyOptions
	// Held is where questions to measure on are read from; "" is about one in data.ValidationShare of those to learn from.
	Held string `json:"held,omitempty"`
	// HeldQuestions of them are asked at most, HeldSamples times each; 0 is 400, and 8.
	HeldQuestions int `json:"held_questions"`
	HeldSamples   int `json:"held_samples"`
	// Rows is how many answers are drawn at once; 0 is all of a round, at most 128 on CUDA and 32 elsewhere.
	Rows int `json:"rows,omitempty"`
	// Content identifies the questions that the training began with. It is no setting.
	Content string `json:"content"`
}

func (s RLSettings) resolved() RLSettings {
	s.Questions = cmp.Or(s.Questions, 16)
	s.Group = cmp.Or(s.Group, 16)
	s.MaxTokens = cmp.Or(s.MaxTokens, 256)
	s.Temperature = cmp.Or(s.Temperature, 1)
	s.TopK = cmp.Or(s.TopK, 50)
	s.HeldQuestions = cmp.Or(s.HeldQuestions, 400)
	s.HeldSamples = cmp.Or(s.HeldSamples, 8)
	s.Updates = cmp.Or(s.Updates, 1)
	return s
}

// Validate reports the first setting that cannot be; zero values have no meaning here.
func (s RLSettings) Validate() error {
	for _, check := range []struct {
		name      string
		value     int
		low, high int
	}{
		{"questions", s.Questions, 1, 1e5}, {"group", s.Group, 2, 1e5}, {"max_tokens", s.MaxTokens, 1, 1e6}, {"top_k", s.TopK, -1, 1 << 24},
		{"held_questions", s.HeldQuestions, 1, 1e6}, {"held_samples", s.HeldSamples, 1, 1000}, {"rows", s.Rows, 0, 4096},
	} {
		if check.value < check.low || check.value > check.high {
			return fmt.Errorf("%s %d: must lie between %d and %d", check.name, check.value, check.low, check.high)
		}
	}
	if !(s.Temperature >= 0.01 && s.Temperature <= 100) {
		return fmt.Errorf("temperature %g: must lie between 0.01 and 100; answers that are all the same teach nothing", s.Temperature)
	}
	return s.PolicyOptions.Validate()
}
