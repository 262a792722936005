package tokenizer

import (
	"fmt"
	"iter"
	"math"
)

// Train learns a vocabulary of exactly vocab ids from texts: the 256 bytes in
// order, then the merges in the order learned, then the nine specials.
//
// Merging is Sennrich et al., 2016 (arXiv:1508.07909) over bytes: the adjacent
// pair with the highest count in the corpus becomes a token, again and again; of
// pairs with equal counts the one with the lowest ids. The result depends on the
// texts only, not on their order nor on the machine. Texts are read once and
// not kept: memory is proportional to the distinct pieces among them.
//
// An error from texts ends training and is returned wrapped.
func Train(texts iter.Seq2[string, error], vocab int) (*Tokenizer, error) {
	fixed := 256 + len(specialNames)
	if vocab < fixed {
		return nil, fmt.Errorf("train tokenizer: vocabulary of %d is too small: 256 bytes and %d special tokens need at least %d",
			vocab, len(specialNames), fixed)
	}
	if vocab > math.MaxInt32 {
		return nil, fmt.Errorf("train tokenizer: vocabulary of %d does not fit 32-bit ids; the largest is %d", vocab, math.MaxInt32)
	}
	counts, err := countPieces(texts)
	if err != nil {
		return nil, fmt.Errorf("train tokenizer: read texts: %w", err)
	}
	rules := newLearner(counts).learn(vocab - fixed)
	if len(rules) < vocab-fixed {
		return nil, fmt.Errorf("train tokenizer: the corpus allows only %d merges and a vocabulary of %d needs %d; give more text or a vocabulary of at most %d",
			len(rules), vocab, vocab-fixed, fixed+len(rules))
	}
	tokens := make([]string, 256, vocab)
	for b := range 256 {
		tokens[b] = string([]byte{byte(b)})
	}
	for _, r := range rules {
		tokens = append(tokens, tokens[r.left]+tokens[r.right])
	}
	specials := make(map[string]int32, len(specialNames))
	for _, name := range specialNames {
		specials[name] = int32(len(tokens))
		tokens = append(tokens, name)
	}
	return newTokenizer(tokens, specials, rules)
}
