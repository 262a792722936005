package tokenizer

// learner finds merges incrementally: it knows the count of every adjacent pair
// and the words that hold it, so that a merge touches only the words it changes.
type learner struct {
	words []word
	pairs map[uint64]*pairStats
	// queue holds every live pair with a count that is at least its present one. A
	// pair's count can only fall after the merge that made its newer half, so a
	// count found too high when popped is corrected and pushed back.
	queue minHeap[pairCount]
}

// word is a distinct piece of the corpus: the ids it has been merged to so far
// and how often it occurs.
type word struct {
	ids   []int32
	count int64
}

type pairStats struct {
	count int64
	words []int32 // indices of the words that hold the pair, or did
}

type pairCount struct {
	count int64
	pair  uint64
}

// before puts high counts first and breaks ties by the lowest left id, then right.
func (a pairCount) before(b pairCount) bool {
	return a.count > b.count || (a.count == b.count && a.pair < b.pair)
}

func newLearner(counts map[string]int64) *learner {
	l := &learner{pairs: map[uint64]*pairStats{}, queue: minHeap[pairCount]{less: pairCount.before}}
	for piece, count := range counts {
		if len(piece) < 2 {
			continue
		}
		ids := make([]int32, len(piece))
		for i := range ids {
			ids[i] = int32(piece[i])
		}
		l.words = append(l.words, word{ids, count})
		for i := 1; i < len(ids); i++ {
			l.add(joinPair(ids[i-1], ids[i]), len(l.words)-1)
		}
	}
	for pair, stats := range l.pairs {
		l.queue.items = append(l.queue.items, pairCount{stats.count, pair})
	}
	l.queue.init()
	return l
}

// learn returns up to limit rules in the order learned, fewer only where every
// word has become one token.
func (l *learner) learn(limit int) []rule {
	var rules []rule
	for len(rules) < limit {
		pair, ok := l.best()
		if !ok {
			break
		}
		left, right := splitPair(pair)
		r := rule{left, right, int32(256 + len(rules))}
		l.apply(r)
		rules = append(rules, r)
	}
	return rules
}

// best pops the pair with the highest count; ok is false when none is left.
func (l *learner) best() (pair uint64, ok bool) {
	for len(l.queue.items) > 0 {
		top := l.queue.pop()
		stats := l.pairs[top.pair]
		if stats.count == top.count {
			return top.pair, true
		}
		if stats.count > 0 {
			l.queue.push(pairCount{stats.count, top.pair})
		} else {
			delete(l.pairs, top.pair)
		}
	}
	return 0, false
}

// apply merges r in every word that holds its pair and queues the pairs that
// this makes, all of which hold r.id.
func (l *learner) apply(r rule) {
	pair := joinPair(r.left, r.right)
	stats := l.pairs[pair]
	made := map[uint64]bool{}
	for _, w := range stats.words {
		l.applyTo(int(w), r, made)
	}
	delete(l.pairs, pair)
	for pair := range made {
		if count := l.pairs[pair].count; count > 0 {
			l.queue.push(pairCount{count, pair})
		} else {
			delete(l.pairs, pair)
		}
	}
}

// applyTo merges r in word w from left to right, moving the word's count from the
// pairs that vanish to those that appear, which it notes in made.
func (l *learner) applyTo(w int, r rule, made map[uint64]bool) {
	ids := l.words[w].ids
	out := ids[:0] // never ahead of the reading position
	for i := 0; i < len(ids); i++ {
		if i+1 == len(ids) || ids[i] != r.left || ids[i+1] != r.right {
			out = append(out, ids[i])
			continue
		}
		if len(out) > 0 {
			before := out[len(out)-1]
			l.drop(joinPair(before, r.left), w)
			made[l.add(joinPair(before, r.id), w)] = true
		}
		if i+2 < len(ids) {
			l.drop(joinPair(r.right, ids[i+2]), w)
			made[l.add(joinPair(r.id, ids[i+2]), w)] = true
		}
		out = append(out, r.id)
		i++
	}
	l.words[w].ids = out
}

func (l *learner) add(pair uint64, w int) uint64 {
	stats := l.pairs[pair]
	if stats == nil {
		stats = &pairStats{}
		l.pairs[pair] = stats
	}
	stats.count += l.words[w].count
	if n := len(stats.words); n == 0 || stats.words[n-1] != int32(w) {
		stats.words = append(stats.words, int32(w))
	}
	return pair
}

func (l *learner) drop(pair uint64, w int) {
	l.pairs[pair].count -= l.words[w].count
}
