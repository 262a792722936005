package web

import (
	"encoding/json"
	"strings"
	"unicode/utf8"

	"tandem/workbench/chat"
)

// Log-probabilities of the tokens that were chosen, in the shapes of OpenAI's API. They are the model's own, before
// temperature and limits. Alternatives to the chosen tokens are not known: the device gives back only what it drew.

// chatLogProbs are a message's, or a delta's.
type chatLogProbs struct {
	Content []tokenLogProb `json:"content"`
	Refusal []tokenLogProb `json:"refusal"`
}

type tokenLogProb struct {
	// Token is the token's text, with U+FFFD where a character is spread over tokens; Bytes are exact.
	Token   string         `json:"token"`
	LogProb float32        `json:"logprob"`
	Bytes   []int          `json:"bytes"`
	Top     []tokenLogProb `json:"top_logprobs"`
}

// textLogProbs are a continued text's.
type textLogProbs struct {
	Tokens   []string  `json:"tokens"`
	LogProbs []float32 `json:"token_logprobs"`
	Top      []any     `json:"top_logprobs"`
	// Offsets are the characters of the continuation that begin before each token.
	Offsets []int `json:"text_offset"`
}

// least stands for what JSON has no number for, as with OpenAI.
const least = -9999

// readChatLogProbs takes a boolean.
func readChatLogProbs(r *request, name string, raw json.RawMessage) (err *apiError) {
	r.logProbs, err = boolean(name, raw)
	return err
}

// readTextLogProbs takes the number of alternatives, which can only be none.
func readTextLogProbs(r *request, name string, raw json.RawMessage) *apiError {
	count, err := integer(name, raw, 0, 1<<20)
	if err == nil && count > 0 {
		err = invalid(name, "%s is %d, which this server cannot do; give 0 for the chosen tokens' alone, or leave it out", name, count)
		err.code = "unsupported_value"
	}
	r.logProbs = err == nil
	return err
}

// scores gives out an answer's log-probabilities piece by piece. A nil one gives none.
type scores struct {
	answer *chat.Answer
	shape  func(tokens []chat.TextToken, offset int) any
	next   int // as Answer.TextTokens counts
	offset int // characters given out
}

// take gives those since the last call; nil, which is null in JSON, if there are none.
func (s *scores) take() any {
	if s == nil {
		return nil
	}
	tokens, next := s.answer.TextTokens(s.next)
	s.next = next
	if len(tokens) == 0 {
		return nil
	}
	shaped := s.shape(tokens, s.offset)
	for _, token := range tokens {
		s.offset += characters(token.Bytes)
	}
	return shaped
}

func chatScores(tokens []chat.TextToken, _ int) any {
	all := &chatLogProbs{}
	for _, token := range tokens {
		one := tokenLogProb{Token: shown(token.Bytes), LogProb: max(token.LogProb, least), Top: []tokenLogProb{}}
		for _, b := range token.Bytes {
			one.Bytes = append(one.Bytes, int(b))
		}
		all.Content = append(all.Content, one)
	}
	return all
}

func textScores(tokens []chat.TextToken, offset int) any {
	all := &textLogProbs{}
	for _, token := range tokens {
		all.Tokens = append(all.Tokens, shown(token.Bytes))
		all.LogProbs = append(all.LogProbs, max(token.LogProb, least))
		all.Offsets = append(all.Offsets, offset)
		offset += characters(token.Bytes)
	}
	return all
}

func shown(bytes []byte) string { return strings.ToValidUTF8(string(bytes), "\uFFFD") }

// characters counts those that begin in some bytes.
func characters(bytes []byte) (count int) {
	for _, b := range bytes {
		if utf8.RuneStart(b) {
			count++
		}
	}
	return count
}
