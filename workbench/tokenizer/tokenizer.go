package tokenizer

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
)

// specialNames are the special tokens that Train adds, in the order of their
// ids, which are the highest of the vocabulary.
var specialNames = []string{
	"<|bos|>",
	"<|user_start|>", "<|user_end|>",
	"<|assistant_start|>", "<|assistant_end|>",
	"<|python_start|>", "<|python_end|>",
	"<|output_start|>", "<|output_end|>",
}

const bosName = "<|bos|>"

// Tokenizer is an immutable vocabulary with its merges; Train, Load and Parse
// make one. It is safe for concurrent use.
type Tokenizer struct {
	tokens   []string         // id -> raw bytes, or the name of a special token
	specials map[string]int32 // name -> id
	bytes    [256]int32       // byte -> id
	rules    []rule           // in rank order
	// lookup is rules by pair. whole holds the ids of the tokens that BPE gives
	// for their own bytes, which spares most words the merging.
	lookup ruleTable
	whole  map[string]int32
	queues sync.Pool // *queue, for long pieces
}

// rule says that adjacent left and right become id. Its rank, which is its
// index in Tokenizer.rules, orders it among all rules: lower goes first.
type rule struct {
	left, right, id int32
}

// newTokenizer completes a Tokenizer. The caller vouches that every special id and rule
// is inside tokens and that every rule's token is its parts joined.
func newTokenizer(tokens []string, specials map[string]int32, rules []rule) (*Tokenizer, error) {
	t := &Tokenizer{tokens: tokens, specials: specials, rules: rules}
	if _, ok := specials[bosName]; !ok {
		return nil, fmt.Errorf("special token %q is missing from %q; add it", bosName, t.Specials())
	}
	ids := make(map[string]int32, len(tokens))
	for id, token := range tokens {
		if special, ok := specials[token]; !ok || special != int32(id) {
			ids[token] = int32(id)
		}
	}
	for b := range t.bytes {
		id, ok := ids[string([]byte{byte(b)})]
		if !ok {
			return nil, fmt.Errorf("no token for byte 0x%02X; the vocabulary needs all 256 single bytes", b)
		}
		t.bytes[b] = id
	}
	t.lookup = newRuleTable(rules)
	t.queues.New = func() any { return newQueue() }
	t.whole = t.reachable(ids)
	return t, nil
}

// reachable keeps those of the tokens that BPE gives for their own bytes.
func (t *Tokenizer) reachable(ids map[string]int32) map[string]int32 {
	kept := make(map[string]int32, len(ids))
	var scratch []int32
	for token, id := range ids {
		if scratch = t.merge(scratch[:0], token); len(scratch) == 1 && scratch[0] == id {
			kept[token] = id
		}
	}
	return kept
}

// VocabSize is the number of ids, specials included: ids are 0 to VocabSize()-1.
func (t *Tokenizer) VocabSize() int { return len(t.tokens) }

// BOS is the id of <|bos|>, which begins every document.
func (t *Tokenizer) BOS() int32 { return t.specials[bosName] }

// Special gives the id of the special token of that name, such as "<|bos|>".
func (t *Tokenizer) Special(name string) (int32, bool) {
	id, ok := t.specials[name]
	return id, ok
}

// Specials lists the names of the special tokens in the order of their ids.
func (t *Tokenizer) Specials() []string {
	names := make([]string, 0, len(t.specials))
	for name := range t.specials {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return int(t.specials[a] - t.specials[b]) })
	return names
}

// Token returns a copy of the raw bytes of id, the name of a special token, or
// nil if id is out of range. The bytes need not be valid UTF-8.
func (t *Tokenizer) Token(id int32) []byte {
	if id < 0 || int(id) >= len(t.tokens) {
		return nil
	}
	return []byte(t.tokens[id])
}

// Decode joins the bytes of ids; a special token gives its name and an id out
// of range U+FFFD. The result is exact and so may be invalid UTF-8, for a
// character can be spread over tokens.
func (t *Tokenizer) Decode(ids []int32) string {
	var out strings.Builder
	for _, id := range ids {
		if id < 0 || int(id) >= len(t.tokens) {
			out.WriteRune('\uFFFD')
			continue
		}
		out.WriteString(t.tokens[id])
	}
	return out.String()
}

// ByteLengths gives, per id, the number of bytes of text that the token stands
// for: 0 for a special. Bits per byte divides by their sum.
func (t *Tokenizer) ByteLengths() []int32 {
	lengths := make([]int32, len(t.tokens))
	for id, token := range t.tokens {
		lengths[id] = int32(len(token))
	}
	for _, id := range t.specials {
		lengths[id] = 0
	}
	return lengths
}

// Hash is the hex SHA-256 of all that determines ids and bytes: pattern, tokens,
// merges and specials. Tokenizers with the same Hash encode and decode alike.
func (t *Tokenizer) Hash() string {
	digest := sha256.New()
	write := func(text string) { // length first, so that no two lists run together alike
		digest.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(text))))
		io.WriteString(digest, text)
	}
	write(Pattern)
	for _, list := range [][]string{t.tokens, t.Specials()} {
		write(fmt.Sprint(len(list)))
		for _, text := range list {
			write(text)
		}
	}
	for _, name := range t.Specials() {
		write(fmt.Sprint(t.specials[name]))
	}
	for _, r := range t.rules {
		write(fmt.Sprint(r))
	}
	return hex.EncodeToString(digest.Sum(nil))
}
