package tokenizer

// Encode turns ordinary text into ids. It never gives a special token: the
// characters "<|bos|>" in text are only characters.
func (t *Tokenizer) Encode(text string) []int32 {
	return t.AppendEncode(make([]int32, 0, len(text)/3+8), text)
}

// AppendEncode appends the ids of text to dst, as Encode does. It allocates
// nothing but the growth of dst (and, now and then, a work space for pieces longer
// than shortPiece, which is reused).
func (t *Tokenizer) AppendEncode(dst []int32, text string) []int32 {
	for i := 0; i < len(text); {
		j := pieceEnd(text, i)
		piece := text[i:j]
		if id, ok := t.whole[piece]; ok {
			dst = append(dst, id)
		} else {
			dst = t.merge(dst, piece)
		}
		i = j
	}
	return dst
}

// shortPiece is the length in bytes up to which rescanning all pairs for each
// merge is faster than keeping a heap. Nearly all pieces of real text are
// shorter; a hostile one can be megabytes long.
const shortPiece = 64

// merge appends the ids of one piece: starting from its bytes, the rule of lowest
// rank among all adjacent pairs is applied, leftmost first, until none applies.
func (t *Tokenizer) merge(dst []int32, piece string) []int32 {
	if len(piece) > shortPiece {
		q := t.queues.Get().(*queue)
		defer t.queues.Put(q)
		return q.merge(t, dst, piece)
	}
	var idsBuf [shortPiece]int32
	var rankBuf [shortPiece]int32 // rank of the pair (ids[i], ids[i+1])
	ids, ranks := idsBuf[:len(piece)], rankBuf[:len(piece)]
	for i := range ids {
		ids[i] = t.bytes[piece[i]]
	}
	rankOf := func(i int) int32 {
		if i+1 >= len(ids) {
			return noRule
		}
		return t.lookup.rank(ids[i], ids[i+1])
	}
	for i := range ids {
		ranks[i] = rankOf(i)
	}
	for {
		best := 0
		for i, rank := range ranks {
			if rank < ranks[best] {
				best = i
			}
		}
		if len(ranks) == 0 || ranks[best] == noRule {
			return append(dst, ids...)
		}
		ids[best] = t.rules[ranks[best]].id
		copy(ids[best+1:], ids[best+2:])
		copy(ranks[best+1:], ranks[best+2:])
		ids, ranks = ids[:len(ids)-1], ranks[:len(ranks)-1]
		ranks[best] = rankOf(best)
		if best > 0 {
			ranks[best-1] = rankOf(best - 1)
		}
	}
}
