package eval

import (
	"cmp"
	"slices"
	"strings"
)

// batch is what one run of a program scores.
type batch struct {
	shape
	queries    int // that it answers
	beginnings [][]int32
	parents    []int32 // the beginning of each row
	tokens     [][]int32
	wants      []want
}

// want is one number that a batch is to give: token `token` of a query's continuation, at a place of its rows.
type want struct {
	query, token int
	place        int // row·time + column, once the batch is closed
	row, column  int
	target       int32
}

// group is the queries that share a context.
type group struct {
	context []int32
	queries []int
	longest int // continuation
}

// plan puts queries into batches:
//
//  1. Queries of the same context are a group.
//  2. Where a group has several continuations of more than a token, their context runs once, and from the state after it,
//     without its last token, each continuation, with it (shared). Else each is a row of its own with its context, but for
//     continuations of one token, which all are asked at the end of a single row (flat).
//  3. Groups are sorted by length, so that those of a batch need little padding.
//  4. A batch is closed when its tokens, as padded, reach the limit.
func (s *Scorer) plan(queries []Query) []batch {
	if s.options.Alone {
		return s.alone(queries)
	}
	var flat, shared []group
	for _, g := range grouped(queries) {
		if len(g.queries) > 1 && g.longest > 1 && len(g.context) > 1 {
			shared = append(shared, g)
		} else {
			flat = append(flat, g)
		}
	}
	byLength := func(a, b group) int {
		return cmp.Or(cmp.Compare(len(b.context)+b.longest, len(a.context)+a.longest), cmp.Compare(a.queries[0], b.queries[0]))
	}
	slices.SortFunc(flat, byLength)
	slices.SortFunc(shared, byLength)
	return append(s.flatBatches(flat, queries), s.sharedBatches(shared, queries)...)
}

func grouped(queries []Query) []group {
	var groups []group
	index := map[string]int{}
	var key strings.Builder
	for i, query := range queries {
		key.Reset()
		for _, id := range query.Context {
			key.Write([]byte{byte(id), byte(id >> 8), byte(id >> 16), byte(id >> 24)})
		}
		at, ok := index[key.String()]
		if !ok {
			at = len(groups)
			index[key.String()] = at
			groups = append(groups, group{context: query.Context})
		}
		groups[at].queries = append(groups[at].queries, i)
		groups[at].longest = max(groups[at].longest, len(query.Continuation))
	}
	return groups
}

// alone makes a batch of each query, which shares nothing and is padded only where each shape is compiled at length.
func (s *Scorer) alone(queries []Query) []batch {
	batches := make([]batch, len(queries))
	for i, query := range queries {
		b := batch{queries: 1}
		b.add(i, query, query.Context)
		b.shape = shape{rows: 1, time: len(b.tokens[0]), places: len(b.wants)}
		if s.coarse() {
			b.time, b.places = s.length(b.time), step(b.places, true)
		}
		batches[i] = b.placed()
	}
	return batches
}

// add appends a row: the head and a query's continuation, but for its last token, which nothing follows.
func (b *batch) add(index int, query Query, head []int32) {
	row := len(b.tokens)
	b.tokens = append(b.tokens, append(slices.Clone(head), query.Continuation[:len(query.Continuation)-1]...))
	for token, target := range query.Continuation {
		b.wants = append(b.wants, want{query: index, token: token, row: row, column: len(head) - 1 + token, target: target})
	}
}

// placed computes the places, now that the time is known.
func (b batch) placed() batch {
	for i := range b.wants {
		b.wants[i].place = b.wants[i].row*b.time + b.wants[i].column
	}
	return b
}

// flatBatches fills batches with whole rows.
func (s *Scorer) flatBatches(groups []group, queries []Query) (batches []batch) {
	var open batch
	finish := func() {
		if len(open.tokens) > 0 {
			open.rows, open.places = s.rounded(len(open.tokens), s.options.Tokens/open.time), s.rounded(len(open.wants), s.places(open.time))
			batches = append(batches, open.placed())
		}
		open = batch{}
	}
	for _, g := range groups {
		rows, wants := 1, len(g.queries)
		if g.longest > 1 {
			rows, wants = len(g.queries), 0
			for _, q := range g.queries {
				wants += len(queries[q].Continuation)
			}
		}
		if open.time > 0 && ((len(open.tokens)+rows)*open.time > s.options.Tokens || len(open.wants)+wants > s.places(open.time)) {
			finish()
		}
		if len(open.tokens) == 0 {
			open.time = s.length(len(g.context) + g.longest - 1)
		}
		for i, q := range g.queries {
			if g.longest > 1 || i == 0 {
				open.add(q, queries[q], g.context)
				continue
			}
			last := open.wants[len(open.wants)-1]
			last.query, last.target = q, queries[q].Continuation[0]
			open.wants = append(open.wants, last)
		}
		open.queries += len(g.queries)
	}
	finish()
	return batches
}

// sharedBatches fills batches with contexts and the rows that go on from them.
func (s *Scorer) sharedBatches(groups []group, queries []Query) (batches []batch) {
	var open batch
	finish := func() {
		if len(open.tokens) > 0 {
			open.before, open.rows = s.rounded(len(open.beginnings), s.beginnings(open.beginning, open.time)), s.rounded(len(open.tokens), s.followers(open.beginning, open.time))
			open.places = s.rounded(len(open.wants), s.places(open.rows*open.time))
			batches = append(batches, open.placed())
		}
		open = batch{}
	}
	for _, g := range groups {
		time := max(open.time, s.length(g.longest))
		beginning := max(open.beginning, s.length(len(g.context)-1))
		if len(open.tokens) > 0 && (len(open.beginnings)+1 > s.beginnings(beginning, time) || len(open.tokens)+len(g.queries) > s.followers(beginning, time)) {
			finish()
			time, beginning = s.length(g.longest), s.length(len(g.context)-1)
		}
		open.time, open.beginning = time, beginning
		head := len(g.context) - 1
		for _, q := range g.queries {
			open.parents = append(open.parents, int32(len(open.beginnings)))
			open.add(q, queries[q], g.context[head:])
		}
		open.beginnings = append(open.beginnings, g.context[:head])
		open.queries += len(g.queries)
	}
	finish()
	return batches
}

// beginnings is how many contexts a shared batch has at most, followers how many rows.
func (s *Scorer) beginnings(beginning, time int) int {
	return max(1, s.options.Tokens/(beginning+4*time))
}

func (s *Scorer) followers(beginning, time int) int { return 4 * s.beginnings(beginning, time) }

// places is how many numbers a batch is asked for at most: logits are large.
func (s *Scorer) places(time int) int { return max(time, s.options.Tokens/8) }

// length rounds a row's length up, to one of few on an accelerator, where each shape is compiled at length.
func (s *Scorer) length(needed int) int {
	return min(step(max(needed, 8), s.coarse()), max(needed, s.Context()))
}

// rounded rounds a count up, to the most there may be at the furthest; on an accelerator to that: few shapes matter more
// than the last batch.
func (s *Scorer) rounded(count, most int) int {
	if s.coarse() {
		return max(count, most)
	}
	return max(count, min(step(count, false), most))
}

func (s *Scorer) coarse() bool { return s.device.Kind != "go" }

// step is the least power of two that is not below n, or three quarters of it where that is enough and steps are fine.
func step(n int, coarse bool) int {
	power := 1
	for power < n {
		power *= 2
	}
	if three := power / 4 * 3; !coarse && three >= n {
		return three
	}
	return power
}
