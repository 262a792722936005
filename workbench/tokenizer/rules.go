package tokenizer

import "math"

// noRule is the rank of a pair that no rule merges: above every rank.
const noRule = math.MaxInt32

// ruleTable finds the rank of a pair of ids. It is an open-addressing hash table,
// at most half full, because this lookup is what encoding spends its time on.
type ruleTable struct {
	slots []ruleSlot
	shift uint // the hash's top bits that index slots
}

type ruleSlot struct {
	pair uint64
	rank int32 // noRule marks an empty slot
}

func newRuleTable(rules []rule) ruleTable {
	bits := uint(1)
	for 1<<bits < 2*len(rules) {
		bits++
	}
	table := ruleTable{slots: make([]ruleSlot, 1<<bits), shift: 64 - bits}
	for i := range table.slots {
		table.slots[i].rank = noRule
	}
	for rank, r := range rules {
		slot := table.find(joinPair(r.left, r.right))
		*slot = ruleSlot{joinPair(r.left, r.right), int32(rank)}
	}
	return table
}

// find returns the slot of pair, or the empty slot where it would go.
func (table *ruleTable) find(pair uint64) *ruleSlot {
	const golden = 0x9E3779B97F4A7C15 // Fibonacci hashing
	mask := uint64(len(table.slots) - 1)
	i := pair * golden >> table.shift
	for {
		slot := &table.slots[i&mask]
		if slot.pair == pair || slot.rank == noRule {
			return slot
		}
		i++
	}
}

// rank gives the rank of the rule that merges left and right, or noRule.
func (table *ruleTable) rank(left, right int32) int32 {
	return table.find(joinPair(left, right)).rank
}

func joinPair(left, right int32) uint64 { return uint64(uint32(left))<<32 | uint64(uint32(right)) }

func splitPair(pair uint64) (left, right int32) { return int32(pair >> 32), int32(uint32(pair)) }
