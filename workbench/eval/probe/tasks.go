package probe

import (
	"math/rand/v2"
	"slices"
)

// Token 0 is each probe's mark: filler, separator, trigger or marker.

const (
	recallKeys      = 128 // and as many values
	copyTokens      = 32
	inductionTokens = 15
	needleKeys      = 8
	needleValues    = 16
	needleNoise     = 64
	needles         = 4
)

// recall is k₁ v₁ k₂ v₂ …, then filler with each key once at a random place; there its value is the target.
func recall(random *rand.Rand, length int) Sequence {
	s := blank(length)
	pairs := min(max(2, length/16), recallKeys)
	keys := random.Perm(recallKeys)[:pairs]
	places := random.Perm(length - 2*pairs)[:pairs]
	slices.Sort(places)
	order := random.Perm(pairs)
	values := make([]int32, pairs)
	for i, key := range keys {
		values[i] = int32(1 + recallKeys + random.IntN(recallKeys))
		s.Tokens[2*i], s.Tokens[2*i+1] = int32(1+key), values[i]
	}
	for i, place := range places {
		pair, at := order[i], 2*pairs+place
		s.Tokens[at] = int32(1 + keys[pair])
		s.ask(at, values[pair], 2*pair+1)
	}
	return s
}

// copying is x₁ … xₙ, a separator, and x₁ … xₙ again, of which each is a target. An odd length leaves its first place to
// the separator.
func copying(random *rand.Rand, length int) Sequence {
	s := blank(length)
	n, first := length/2, length%2
	for i := range n {
		token := int32(1 + random.IntN(copyTokens))
		s.Tokens[first+i] = token
		if after := first + n + 1 + i; after < length {
			s.Tokens[after] = token
		}
		s.ask(first+n+i, token, first+i)
	}
	return s
}

// induction is noise in which the trigger comes three to six times, the first in the first half, the last at the end. The
// token after the first is the target at every later one, and follows it.
func induction(random *rand.Rand, length int) Sequence {
	s := blank(length)
	for i := range s.Tokens {
		s.Tokens[i] = int32(1 + random.IntN(inductionTokens))
	}
	first := random.IntN(length/2 - 1)
	answer := s.Tokens[first+1]
	places := []int{length - 1}
	for range 1 + random.IntN(4) {
		// Even distances, so that no place is another's answer.
		if room := (length - 3 - first) / 2; room > 1 {
			if place := first + 2*(1+random.IntN(room-1)); place < length-2 && !slices.Contains(places, place) {
				places = append(places, place)
			}
		}
	}
	slices.Sort(places)
	s.Tokens[first] = 0
	for _, place := range places {
		s.Tokens[place] = 0
		if place+1 < length {
			s.Tokens[place+1] = answer
		}
		s.ask(place, answer, first+1)
	}
	return s
}

// needle is noise with marker, key and value four times, each key another, one in each quarter of the noise; at the end
// come marker and key of each, in random order, with the value as target, and the value.
func needle(random *rand.Rand, length int) Sequence {
	s := blank(length)
	for i := range s.Tokens {
		s.Tokens[i] = int32(1 + needleKeys + needleValues + random.IntN(needleNoise))
	}
	noise := length - 3*needles
	keys := random.Perm(needleKeys)[:needles]
	values, places := make([]int32, needles), make([]int, needles)
	for i, key := range keys {
		from, to := noise*i/needles, noise*(i+1)/needles
		values[i] = int32(1 + needleKeys + random.IntN(needleValues))
		places[i] = from + random.IntN(to-from-2)
		s.write(places[i], int32(1+key), values[i])
	}
	for i, chosen := range random.Perm(needles) {
		at := noise + 3*i
		s.write(at, int32(1+keys[chosen]), values[chosen])
		s.ask(at+1, values[chosen], places[chosen]+2)
	}
	return s
}

// write puts marker, key and value at a place.
func (s *Sequence) write(at int, key, value int32) {
	s.Tokens[at], s.Tokens[at+1], s.Tokens[at+2] = 0, key, value
}
