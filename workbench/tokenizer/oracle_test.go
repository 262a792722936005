package tokenizer

import (
	"unicode"
	"unicode/utf8"
)

// This file is an independent reading of Pattern: a general backtracking matcher
// and the seven alternatives written down as the regular expression says them.

// node matches at text[i:] and calls then with each end it can reach, in order of
// preference, until then is satisfied.
type node func(text []rune, i int, then func(end int) bool) bool

func one(is func(rune) bool) node {
	return func(text []rune, i int, then func(int) bool) bool {
		return i < len(text) && is(text[i]) && then(i+1)
	}
}

func seq(nodes ...node) node {
	return func(text []rune, i int, then func(int) bool) bool {
		if len(nodes) == 0 {
			return then(i)
		}
		return nodes[0](text, i, func(j int) bool { return seq(nodes[1:]...)(text, j, then) })
	}
}

func firstOf(nodes ...node) node {
	return func(text []rune, i int, then func(int) bool) bool {
		for _, n := range nodes {
			if n(text, i, then) {
				return true
			}
		}
		return false
	}
}

// repeat is n{least,most}, greedy.
func repeat(n node, least, most int) node {
	return func(text []rune, i int, then func(int) bool) bool {
		more := func(j int) bool { return repeat(n, max(least-1, 0), most-1)(text, j, then) }
		return most > 0 && n(text, i, more) || least == 0 && then(i)
	}
}

// possessive commits to the first way in which n matches.
func possessive(n node) node {
	return func(text []rune, i int, then func(int) bool) bool {
		found := -1
		n(text, i, func(end int) bool { found = end; return true })
		return found >= 0 && then(found)
	}
}

func notAhead(n node) node {
	return func(text []rune, i int, then func(int) bool) bool {
		return !n(text, i, func(int) bool { return true }) && then(i)
	}
}

// fold matches word without regard to case, by Unicode simple folding.
func fold(word string) node {
	var nodes []node
	for _, want := range word {
		nodes = append(nodes, one(func(r rune) bool {
			for f := unicode.SimpleFold(r); ; f = unicode.SimpleFold(f) {
				if f == want {
					return true
				}
				if f == r {
					return false
				}
			}
		}))
	}
	return seq(nodes...)
}

const many = 1 << 30

var patternOracle = func() node {
	is := func(table *unicode.RangeTable) func(rune) bool {
		return func(r rune) bool { return unicode.Is(table, r) }
	}
	lineEnd := func(r rune) bool { return r == '\r' || r == '\n' }
	isL, isN, isS := is(unicode.L), is(unicode.N), is(unicode.White_Space)
	not := func(sets ...func(rune) bool) func(rune) bool {
		return func(r rune) bool {
			for _, in := range sets {
				if in(r) {
					return false
				}
			}
			return true
		}
	}
	apostrophe := one(func(r rune) bool { return r == '\'' })
	blank := one(func(r rune) bool { return r == ' ' })
	return firstOf(
		seq(apostrophe, firstOf(fold("s"), fold("d"), fold("m"), fold("t"), fold("ll"), fold("ve"), fold("re"))),
		seq(possessive(repeat(one(not(lineEnd, isL, isN)), 0, 1)), repeat(one(isL), 1, many)),
		repeat(one(isN), 1, 2),
		seq(repeat(blank, 0, 1), possessive(repeat(one(not(isS, isL, isN)), 1, many)), repeat(one(lineEnd), 0, many)),
		seq(repeat(one(isS), 0, many), one(lineEnd)),
		seq(repeat(one(isS), 1, many), notAhead(one(not(isS)))),
		repeat(one(isS), 1, many),
	)
}()

// oraclePieces splits text by patternOracle. An invalid byte is one U+FFFD.
func oraclePieces(text string) []string {
	var runes []rune
	offsets := []int{0}
	for i := 0; i < len(text); {
		r, width := utf8.DecodeRuneInString(text[i:])
		i += width
		runes, offsets = append(runes, r), append(offsets, i)
	}
	var pieces []string
	for i := 0; i < len(runes); {
		end := -1
		patternOracle(runes, i, func(j int) bool { end = j; return true })
		if end <= i {
			return append(pieces, "no match")
		}
		pieces = append(pieces, text[offsets[i]:offsets[end]])
		i = end
	}
	return pieces
}
