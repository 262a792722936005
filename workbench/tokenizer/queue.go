package tokenizer

// queue merges a long piece in O(n log n): the piece is a linked list of symbols
// and a heap holds the pairs that have a rule. A merge leaves outdated pairs in the
// heap; they are recognised when popped.
type queue struct {
	symbols []symbol
	pairs   minHeap[candidate]
}

// symbol is one id of the piece in its linked list; -1 ends the list.
type symbol struct {
	id, prev, next int32
}

// candidate is the pair that began at symbol at when its rank was looked up.
type candidate struct {
	rank, at int32
}

func (a candidate) before(b candidate) bool {
	return a.rank < b.rank || (a.rank == b.rank && a.at < b.at)
}

func newQueue() *queue { return &queue{pairs: minHeap[candidate]{less: candidate.before}} }

const (
	noSymbol = -1
	merged   = -2 // id of a symbol that its left neighbour has taken in
)

// rank gives the rank of the pair that begins at symbol i, or noRule.
func (q *queue) rank(t *Tokenizer, i int32) int32 {
	if i == noSymbol || q.symbols[i].id == merged || q.symbols[i].next == noSymbol {
		return noRule
	}
	return t.lookup.rank(q.symbols[i].id, q.symbols[q.symbols[i].next].id)
}

// merge does what Tokenizer.merge does, with the same result.
func (q *queue) merge(t *Tokenizer, dst []int32, piece string) []int32 {
	q.fill(t, piece)
	for len(q.pairs.items) > 0 {
		best := q.pairs.pop()
		if q.rank(t, best.at) != best.rank {
			continue
		}
		left := &q.symbols[best.at]
		right := &q.symbols[left.next]
		left.id, left.next, right.id = t.rules[best.rank].id, right.next, merged
		if left.next != noSymbol {
			q.symbols[left.next].prev = best.at
		}
		for _, at := range [2]int32{left.prev, best.at} {
			if rank := q.rank(t, at); rank != noRule {
				q.pairs.push(candidate{rank, at})
			}
		}
	}
	for i := int32(0); i != noSymbol; i = q.symbols[i].next {
		dst = append(dst, q.symbols[i].id)
	}
	return dst
}

func (q *queue) fill(t *Tokenizer, piece string) {
	q.symbols, q.pairs.items = q.symbols[:0], q.pairs.items[:0]
	for i := range len(piece) {
		q.symbols = append(q.symbols, symbol{t.bytes[piece[i]], int32(i) - 1, int32(i) + 1})
	}
	q.symbols[len(piece)-1].next = noSymbol
	for i := range q.symbols {
		if rank := q.rank(t, int32(i)); rank != noRule {
			q.pairs.items = append(q.pairs.items, candidate{rank, int32(i)})
		}
	}
	q.pairs.init()
}
