package tokenizer

import (
	"encoding/json"
	"fmt"
	"strings"
)

// file is what this package reads of a tokenizer.json.
type file struct {
	Truncation    json.RawMessage `json:"truncation"`
	Padding       json.RawMessage `json:"padding"`
	AddedTokens   []addedToken    `json:"added_tokens"`
	Normalizer    json.RawMessage `json:"normalizer"`
	PreTokenizer  preTokenizer    `json:"pre_tokenizer"`
	PostProcessor *component      `json:"post_processor"`
	Decoder       *component      `json:"decoder"`
	Model         model           `json:"model"`
}

type addedToken struct {
	ID      int64  `json:"id"`
	Content string `json:"content"`
	Special bool   `json:"special"`
}

// component is a part of which only the type matters here.
type component struct {
	Type string `json:"type"`
}

type preTokenizer struct {
	Type          string         `json:"type"`
	Pretokenizers []preTokenizer `json:"pretokenizers"`
	// Split
	Pattern  splitPattern `json:"pattern"`
	Behavior string       `json:"behavior"`
	Invert   bool         `json:"invert"`
	// ByteLevel; absent means true
	AddPrefixSpace *bool `json:"add_prefix_space"`
	UseRegex       *bool `json:"use_regex"`
}

type splitPattern struct {
	Regex string `json:"Regex"`
}

type model struct {
	Type         string      `json:"type"`
	Dropout      float64     `json:"dropout"`
	Prefix       string      `json:"continuing_subword_prefix"`
	Suffix       string      `json:"end_of_word_suffix"`
	IgnoreMerges bool        `json:"ignore_merges"`
	Vocab        vocabulary  `json:"vocab"`
	Merges       []mergeLine `json:"merges"`
}

// vocabulary is model.vocab: tokens spelled in the byte alphabet with their ids.
type vocabulary []vocabEntry

type vocabEntry struct {
	text    string
	id      int64
	special bool // text is the name of a special token, not in the byte alphabet
}

// mergeLine is one of model.merges: "left right" or ["left", "right"].
type mergeLine [2]string

// UnmarshalJSON reads both spellings.
func (m *mergeLine) UnmarshalJSON(data []byte) error {
	var line string
	if json.Unmarshal(data, &line) == nil {
		if strings.HasPrefix(line, "#version") { // see mergeFormat
			return fmt.Errorf("model.merges: %q is a comment to Hugging Face; delete it, or write the merge as a list of two tokens", line)
		}
		left, right, ok := strings.Cut(line, " ")
		if !ok || strings.Contains(right, " ") {
			return fmt.Errorf("model.merges: %q must be two tokens with a space between", line)
		}
		*m = mergeLine{left, right}
		return nil
	}
	var pair []string
	if err := json.Unmarshal(data, &pair); err != nil || len(pair) != 2 {
		return fmt.Errorf("model.merges: each must be %q or a list of two tokens", "left right")
	}
	*m = mergeLine{pair[0], pair[1]}
	return nil
}

// supported refuses what would change ids and is not done here.
func (f *file) supported() error {
	switch {
	case f.Model.Type != "BPE":
		return fmt.Errorf("model.type %q is not supported; it must be \"BPE\"", f.Model.Type)
	case f.Model.Dropout != 0:
		return fmt.Errorf("model.dropout %g is not supported; it must be null", f.Model.Dropout)
	case f.Model.Prefix != "" || f.Model.Suffix != "":
		return fmt.Errorf("model.continuing_subword_prefix and end_of_word_suffix are not supported; they must be null")
	case f.Decoder == nil || f.Decoder.Type != "ByteLevel":
		return fmt.Errorf("decoder is not supported; its type must be \"ByteLevel\"")
	case f.PostProcessor != nil && f.PostProcessor.Type != "ByteLevel":
		return fmt.Errorf("post_processor of type %q is not supported; it must be null or of type \"ByteLevel\"", f.PostProcessor.Type)
	}
	for name, value := range map[string]json.RawMessage{"normalizer": f.Normalizer, "truncation": f.Truncation, "padding": f.Padding} {
		if len(value) > 0 && string(value) != "null" {
			return fmt.Errorf("%s is not supported; it must be null", name)
		}
	}
	return f.PreTokenizer.supported()
}

func (p *preTokenizer) supported() error {
	if p.Type != "Sequence" || len(p.Pretokenizers) != 2 {
		return fmt.Errorf("pre_tokenizer must be a Sequence of Split and ByteLevel")
	}
	split, level := p.Pretokenizers[0], p.Pretokenizers[1]
	switch {
	case split.Type != "Split" || split.Behavior != "Isolated" || split.Invert:
		return fmt.Errorf("pre_tokenizer must begin with a Split of behavior \"Isolated\" and invert false")
	case split.Pattern.Regex != Pattern:
		return fmt.Errorf("split pattern %q is not supported; it must be %q", split.Pattern.Regex, Pattern)
	case level.Type != "ByteLevel" || level.AddPrefixSpace == nil || *level.AddPrefixSpace || level.UseRegex == nil || *level.UseRegex:
		return fmt.Errorf("pre_tokenizer must end with ByteLevel of add_prefix_space false and use_regex false")
	}
	return nil
}
