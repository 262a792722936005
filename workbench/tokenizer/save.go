package tokenizer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// fileFormat is tokenizer.json with verbs for added tokens, pattern, vocabulary and
// merges. With use_regex false, ByteLevel only spells the pieces that Split made in
// the byte alphabet.
const fileFormat = `{
  "version": "1.0",
  "truncation": null,
  "padding": null,
  "added_tokens": [%s
  ],
  "normalizer": null,
  "pre_tokenizer": {
    "type": "Sequence",
    "pretokenizers": [
      {"type": "Split", "pattern": {"Regex": %s}, "behavior": "Isolated", "invert": false},
      {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false}
    ]
  },
  "post_processor": null,
  "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
  "model": {
    "type": "BPE",
    "dropout": null,
    "unk_token": null,
    "continuing_subword_prefix": null,
    "end_of_word_suffix": null,
    "fuse_unk": false,
    "byte_fallback": false,
    "ignore_merges": false,
    "vocab": {%s
    },
    "merges": [%s
    ]
  }
}
`

// JSON writes the tokenizer in the Hugging Face tokenizer.json format. Parse
// reads it back to a Tokenizer with the same Hash.
func (t *Tokenizer) JSON() ([]byte, error) {
	var added, vocab, merges []string
	for _, name := range t.Specials() {
		added = append(added, fmt.Sprintf("\n    "+`{"id": %d, "content": %s, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}`,
			t.specials[name], quote(name)))
	}
	for id, token := range t.tokens {
		if special, ok := t.specials[token]; ok && special == int32(id) {
			continue
		}
		vocab = append(vocab, fmt.Sprintf("\n      %s: %d", quote(spell(token)), id))
	}
	format := t.mergeFormat()
	for _, r := range t.rules {
		merges = append(merges, "\n      "+format(spell(t.tokens[r.left]), spell(t.tokens[r.right])))
	}
	return fmt.Appendf(nil, fileFormat,
		strings.Join(added, ","), quote(Pattern), strings.Join(vocab, ","), strings.Join(merges, ",")), nil
}

// mergeFormat chooses how to write merges. Every version of Hugging Face
// tokenizers reads "left right", but takes a line that starts with "#version" for
// a comment; a vocabulary with such a token needs pairs, which versions from 0.20
// read.
func (t *Tokenizer) mergeFormat() func(left, right string) string {
	for _, r := range t.rules {
		if strings.HasPrefix(t.tokens[r.left], "#version") {
			return func(left, right string) string { return "[" + quote(left) + ", " + quote(right) + "]" }
		}
	}
	return func(left, right string) string { return quote(left + " " + right) }
}

// quote writes text as a JSON string without escaping <, > and &.
func quote(text string) string {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(text) // a string always encodes, into memory
	return strings.TrimSuffix(out.String(), "\n")
}

// Save writes tokenizer.json to path. The file appears complete or not at all: it
// is written beside path, synced and renamed.
func (t *Tokenizer) Save(path string) error {
	data, err := t.JSON()
	if err != nil {
		return fmt.Errorf("save tokenizer %s: %w", path, err)
	}
	if err := writeAtomically(path, data); err != nil {
		return fmt.Errorf("save tokenizer %s: %w", path, err)
	}
	return nil
}

func writeAtomically(path string, data []byte) (err error) {
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.tmp")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			file.Close() // closing twice is harmless
			os.Remove(file.Name())
		}
	}()
	if _, err = file.Write(data); err != nil {
		return err
	}
	if err = file.Chmod(0o644); err != nil { // CreateTemp makes files private
		return err
	}
	if err = file.Sync(); err != nil {
		return err
	}
	if err = file.Close(); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}
