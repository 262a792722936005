package probe

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// Sequence is one example: tokens, and after some of them the token that must follow.
type Sequence struct {
	// Tokens and Targets are equally long; a target below zero asks nothing.
	Tokens, Targets []int32
	// Depths say for each target that asks, in order, where its answer stood: 0 is the sequence's start, 1 its end.
	Depths []float64
}

// ask sets a target whose answer stood at position from.
func (s *Sequence) ask(at int, target int32, from int) {
	s.Targets[at] = target
	s.Depths = append(s.Depths, float64(from)/float64(len(s.Tokens)))
}

// Probe is a synthetic task.
type Probe struct {
	Name string
	// About is one line for people, with the paper that the probe follows.
	About string
	// Vocab is the number of token ids, Chance the accuracy of guessing.
	Vocab  int
	Chance float64
	// Shortest is the least length.
	Shortest int
	// Make draws a sequence of a length.
	Make func(random *rand.Rand, length int) Sequence
}

// Probes lists every probe.
var Probes = []Probe{
	{"recall", "multi-query associative recall: keys with values, then each key once more; a pair for every 16 tokens, 128 at most (Arora et al. 2023, arXiv:2312.04927)",
		1 + 2*recallKeys, 1.0 / recallKeys, 16, recall},
	{"copying", "random tokens, then the same again (Jelassi et al. 2024, arXiv:2402.01032)", 1 + copyTokens, 1.0 / copyTokens, 4, copying},
	{"induction", "a trigger and the token after it, among noise; at every later trigger the same token follows (Olsson et al. 2022, arXiv:2209.11895)",
		1 + inductionTokens, 1.0 / inductionTokens, 16, induction},
	{"needle", "four marked keys with values hidden in noise, all asked for at the end (after Kamradt 2023, needle in a haystack)",
		1 + needleKeys + needleValues + needleNoise, 1.0 / needleValues, 32, needle},
}

// Find returns the probes of these names; none means all.
func Find(names []string) ([]Probe, error) {
	if len(names) == 0 {
		return Probes, nil
	}
	var found []Probe
	for _, name := range names {
		before := len(found)
		for _, p := range Probes {
			if p.Name == name {
				found = append(found, p)
			}
		}
		if len(found) == before {
			return nil, fmt.Errorf("probe %q: unknown; there are %s", name, Names())
		}
	}
	return found, nil
}

// Names lists the probes for messages.
func Names() string {
	names := make([]string, len(Probes))
	for i, p := range Probes {
		names[i] = p.Name
	}
	return strings.Join(names, ", ")
}

// Check reports why a probe has no sequences of a length.
func (p Probe) Check(length int) error {
	if length < p.Shortest || length > 1<<20 {
		return fmt.Errorf("probe %s: length %d must lie between %d and %d", p.Name, length, p.Shortest, 1<<20)
	}
	return nil
}

// Batch draws count sequences of a length into flat tokens and targets [count, length]. Equal seeds give equal batches.
func (p Probe) Batch(seed, number uint64, count, length int) (tokens, targets []int32, depths [][]float64) {
	random := rand.New(rand.NewPCG(seed, number))
	for range count {
		s := p.Make(random, length)
		tokens, targets, depths = append(tokens, s.Tokens...), append(targets, s.Targets...), append(depths, s.Depths)
	}
	return tokens, targets, depths
}

// Lesson draws a batch to learn from, [count, length]: every other sequence is as long, the others are of any length from
// an eighth of it, with the mark behind them. A model that only ever saw one length would learn the places of answers by
// heart instead of looking for them.
func (p Probe) Lesson(seed, number uint64, count, length int) (tokens, targets []int32) {
	random := rand.New(rand.NewPCG(seed, number))
	shortest := max(p.Shortest, length/8)
	for i := range count {
		of := length
		if i%2 == 1 {
			of = shortest + random.IntN(length-shortest+1)
		}
		s, rest := p.Make(random, of), blank(length-of)
		tokens, targets = append(append(tokens, s.Tokens...), rest.Tokens...), append(append(targets, s.Targets...), rest.Targets...)
	}
	return tokens, targets
}

func blank(length int) Sequence {
	s := Sequence{Tokens: make([]int32, length), Targets: make([]int32, length)}
	for i := range s.Targets {
		s.Targets[i] = -1
	}
	return s
}
