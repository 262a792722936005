package data

import "math/bits"

// mix is the finaliser of SplitMix64 (Steele, Lea, Flood 2014): a bijection in
// which every bit of x decides half of the bits of the result. It is part of
// the shard format and of State: never change it.
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

// shuffle is a permutation of 0..n-1 that needs no memory: element i of the
// order is computed when asked for, so a resumed iterator has nothing to
// rebuild and a corpus of any length costs the same.
//
// It is a Feistel network over the smallest even number of bits that holds n;
// what falls outside is sent round again (cycle walking; Black and Rogaway 2002).
type shuffle struct {
	n    uint64
	half int // bits in each half
	keys [6]uint64
}

func newShuffle(n int64, seed uint64, epoch int) shuffle {
	s := shuffle{n: uint64(n), half: (bits.Len64(uint64(n)) + 1) / 2}
	key := mix(seed) + uint64(epoch)
	for round := range s.keys {
		key = mix(key + 0x9e3779b97f4a7c15)
		s.keys[round] = key
	}
	return s
}

// at gives element i of the order, 0 <= i < n.
func (s *shuffle) at(i int64) int64 {
	mask := uint64(1)<<s.half - 1
	x := uint64(i)
	for {
		left, right := x>>s.half, x&mask
		for _, key := range s.keys {
			left, right = right, left^mix(right+key)&mask
		}
		if x = left<<s.half | right; x < s.n {
			return int64(x)
		}
	}
}
