package tokenizer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
)

// maxFileBytes bounds what Load and Parse accept; a vocabulary of a million
// tokens takes about 60 MB.
const maxFileBytes = 256 << 20

// Load reads a tokenizer.json; see Parse.
func Load(path string) (*Tokenizer, error) {
	if stat, err := os.Stat(path); err == nil && !stat.Mode().IsRegular() {
		// To open a pipe may wait for ever, and a device may have no end.
		return nil, fmt.Errorf("load tokenizer %s: it is not a regular file", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("load tokenizer: %w", err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxFileBytes+1))
	if err != nil {
		return nil, fmt.Errorf("load tokenizer %s: %w", path, err)
	}
	t, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("load tokenizer %s: %w", path, err)
	}
	return t, nil
}

// Parse reads a Hugging Face tokenizer.json of the kind that JSON writes:
// byte-level BPE behind Pattern. Ids may be in any order. Anything that would make
// Hugging Face encode otherwise than this package (another pattern, a
// normalizer, dropout, …) is an error rather than a difference.
func Parse(data []byte) (*Tokenizer, error) {
	if len(data) > maxFileBytes {
		return nil, fmt.Errorf("parse tokenizer.json: larger than the limit of %d MiB", maxFileBytes>>20)
	}
	var f file
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, fmt.Errorf("parse tokenizer.json: %w", err)
	}
	t, err := f.tokenizer()
	if err != nil {
		return nil, fmt.Errorf("parse tokenizer.json: %w", err)
	}
	return t, nil
}

// tokenizer checks the file from the outside in and builds what it describes.
func (f *file) tokenizer() (*Tokenizer, error) {
	if err := f.supported(); err != nil {
		return nil, err
	}
	tokens, specials, err := f.tokens()
	if err != nil {
		return nil, err
	}
	rules, err := f.rules()
	if err != nil {
		return nil, err
	}
	t, err := newTokenizer(tokens, specials, rules)
	if err != nil {
		return nil, err
	}
	if f.Model.IgnoreMerges && len(t.whole)+len(specials) != len(tokens) {
		return nil, fmt.Errorf("model.ignore_merges is true, but merges do not give every token; only %d of %d tokens are reachable; set it to false",
			len(t.whole), len(tokens)-len(specials))
	}
	return t, nil
}

// tokens lays out vocabulary and specials by id: ids must be 0 to n-1, each once.
func (f *file) tokens() ([]string, map[string]int32, error) {
	specials := make(map[string]int32, len(f.AddedTokens))
	names := make(map[int64]string, len(f.AddedTokens))
	for _, added := range f.AddedTokens {
		_, again := specials[added.Content]
		switch other, taken := names[added.ID]; {
		case added.Content == "":
			return nil, nil, fmt.Errorf("added token %d is empty; give it a name", added.ID)
		case !added.Special:
			return nil, nil, fmt.Errorf("added token %q is not special, which is not supported; mark it special or make it part of model.vocab", added.Content)
		case again:
			return nil, nil, fmt.Errorf("added token %q appears twice; keep one", added.Content)
		case taken:
			return nil, nil, fmt.Errorf("added tokens %q and %q both have id %d; ids must be distinct", other, added.Content, added.ID)
		}
		specials[added.Content], names[added.ID] = int32(added.ID), added.Content
	}
	all := slices.Clone(f.Model.Vocab)
	for i, entry := range all { // a special may be listed in the vocabulary too, with its id
		if name, ok := names[entry.id]; ok && name == entry.text {
			all[i].special = true
			delete(names, entry.id)
		} else if id, ok := specials[entry.text]; ok {
			return nil, nil, fmt.Errorf("token %q has id %d in model.vocab and %d in added_tokens; give it one", entry.text, entry.id, id)
		}
	}
	for id, name := range names {
		all = append(all, vocabEntry{text: name, id: id, special: true})
	}
	tokens, err := placeTokens(all)
	return tokens, specials, err
}

// placeTokens puts the raw bytes of tokens and the names of specials at their ids.
func placeTokens(all []vocabEntry) ([]string, error) {
	tokens, filled := make([]string, len(all)), make([]bool, len(all))
	for _, entry := range all {
		raw, ok := unspell(entry.text)
		if entry.special {
			raw, ok = entry.text, true
		}
		switch {
		case !ok:
			return nil, fmt.Errorf("token %q holds a character outside the byte alphabet; only byte-level vocabularies are supported", entry.text)
		case entry.id < 0 || entry.id >= int64(len(all)):
			return nil, fmt.Errorf("token %q has id %d, outside 0 to %d; ids must be consecutive", entry.text, entry.id, len(all)-1)
		case filled[entry.id]:
			return nil, fmt.Errorf("token %q has id %d, which is taken; ids must be distinct", entry.text, entry.id)
		}
		tokens[entry.id], filled[entry.id] = raw, true
	}
	return tokens, nil
}

// rules resolves merges to ids. Each joins two tokens into a longer one, so
// merges cannot form a cycle.
func (f *file) rules() ([]rule, error) {
	ids := make(map[string]int32, len(f.Model.Vocab))
	for _, entry := range f.Model.Vocab {
		ids[entry.text] = int32(entry.id)
	}
	for _, added := range f.AddedTokens {
		if id, ok := ids[added.Content]; ok && int64(id) == added.ID {
			delete(ids, added.Content)
		}
	}
	rules := make([]rule, 0, len(f.Model.Merges))
	seen := make(map[uint64]bool, len(f.Model.Merges))
	for i, m := range f.Model.Merges {
		left, okLeft := ids[m[0]]
		right, okRight := ids[m[1]]
		id, okJoined := ids[m[0]+m[1]]
		switch {
		case !okLeft || !okRight || !okJoined:
			return nil, fmt.Errorf("merge %d of %q and %q: both and their concatenation must be tokens of model.vocab", i, m[0], m[1])
		case seen[joinPair(left, right)]:
			return nil, fmt.Errorf("merge %d of %q and %q appears twice; keep the first", i, m[0], m[1])
		}
		seen[joinPair(left, right)] = true
		rules = append(rules, rule{left, right, id})
	}
	return rules, nil
}

// UnmarshalJSON keeps the order and the duplicates of a JSON object, which a map
// would hide.
func (v *vocabulary) UnmarshalJSON(data []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	if open, err := decoder.Token(); err != nil || open != json.Delim('{') {
		return fmt.Errorf("model.vocab must be an object of token to id")
	}
	*v = nil // of two vocabularies the last holds, as usual in JSON
	seen := make(map[string]bool)
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return fmt.Errorf("model.vocab: %w", err)
		}
		entry := vocabEntry{text: key.(string)} // keys of an object are strings
		var id *int64
		if err := decoder.Decode(&id); err != nil {
			return fmt.Errorf("model.vocab: id of token %q: %w", entry.text, err)
		}
		if id == nil {
			return fmt.Errorf("model.vocab: id of token %q: is null; give it a number", entry.text)
		}
		entry.id = *id
		if entry.text == "" || seen[entry.text] {
			return fmt.Errorf("model.vocab: token %q is empty or appears twice; tokens must be distinct", entry.text)
		}
		seen[entry.text] = true
		*v = append(*v, entry)
	}
	return nil
}
