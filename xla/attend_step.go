package xla

import (
	"fmt"
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
)

// AttendStepInputs are the operands of attention of one new token a row, in the order of the operation's inputs.
type AttendStepInputs struct {
	QB1HE, KB1GE, VB1GE  *Node // of the new token, before RoPE and norm
	Cos, Sin             *Node // of RoPE's angles at the token's position, float32 [B,1,1,E/2]
	KeysBCGE, ValuesBCGE *Node // the caches: keys after RoPE and norm
	PositionB, LengthB   *Node // tokens in each row's cache; 1, or 0 for a row without a new token: int32
}

// AttendStep turns and norms the new queries and keys, writes keys and values into the caches, and attends over the tokens
// so far. A row without a new token keeps its caches, and its y is zero. On CUDA the caches are written in place.
func AttendStep(in AttendStepInputs, epsilon float64) (yB1HE, keysBCGE, valuesBCGE *Node) {
	outputs := attendStep(epsilon).Call(in.QB1HE, in.KB1GE, in.VB1GE, in.Cos, in.Sin, in.KeysBCGE, in.ValuesBCGE, in.PositionB, in.LengthB)
	return outputs[0], outputs[1], outputs[2]
}

func attendStep(epsilon float64) *Operation {
	return &Operation{
		Name:    "attend_step",
		Options: fmt.Sprintf("_eps%g", epsilon),
		Kernel:  attendStepKernel(epsilon),
		Definition: func(inputs []*Node) []*Node {
			in := AttendStepInputs{inputs[0], inputs[1], inputs[2], inputs[3], inputs[4], inputs[5], inputs[6], inputs[7], inputs[8]}
			turn := func(x *Node) *Node { return rotaryNorm(epsilon).Definition([]*Node{x, in.Cos, in.Sin})[0] }
			batch, capacity := in.KeysBCGE.Shape().Dim(0), in.KeysBCGE.Shape().Dim(1)
			slotBC := Iota(in.Cos.Graph(), shapes.Make(dtypes.Int32, batch, capacity), 1)
			zero := Const(in.Cos.Graph(), int32(0))
			realB1 := ExpandAxes(GreaterThan(in.LengthB, zero), -1)
			freshBC := LogicalAnd(Equal(slotBC, ExpandAxes(in.PositionB, -1)), realB1)
			put := func(cache, x *Node) *Node { return choose(ExpandAxes(freshBC, -1, -2), x, cache) }
			keys, values := put(in.KeysBCGE, turn(in.KB1GE)), put(in.ValuesBCGE, in.VB1GE)

			unseen := ConvertDType(GreaterThan(slotBC, ExpandAxes(in.PositionB, -1)), dtypes.Float32)
			bias := ExpandAxes(Mul(unseen, constant(unseen, -1e9)), 1)
			y := attend.Definition([]*Node{turn(in.QB1HE), keys, values, bias})[0]
			return []*Node{Mul(y, ConvertDType(ExpandAxes(realB1, -1, -2), y.DType())), keys, values}
		},
	}
}

// choose is yes where condition holds and else no, exactly as long as both are finite; all broadcast.
func choose(condition, yes, no *Node) *Node {
	kept := ConvertDType(LogicalNot(condition), no.DType())
	return Add(Mul(ConvertDType(condition, yes.DType()), yes), Mul(kept, no))
}

// Attention of one token on CUDA: kernels/attend_step.cu and attend_join.cu.

const (
	// mostQueries is the query heads of a kv head that one block serves.
	mostQueries = 8
	// attendBlocks is the blocks that a multiprocessor is to have: all at once, so that none waits while others read.
	attendBlocks = 5
	// leastPart is the least tokens that are worth a block, mostParts what the kernel that adds them up has room for.
	leastPart, mostParts = 64, 512
)

// attendSplits is into how many parts the cache of each kv head is cut.
func attendSplits(heads, capacity int) int {
	return max(1, min(attendBlocks*multiprocessors/heads, ceilDiv(capacity, leastPart), mostParts))
}

func attendStepKernel(epsilon float64) func([]shapes.Shape) (*Plan, string) {
	return func(in []shapes.Shape) (*Plan, string) {
		q, keys := in[0], in[5]
		dtype, reason := stepDType(q, in[1], in[2], keys, in[6])
		if reason != "" {
			return nil, reason
		}
		batch, heads, channels, capacity, groups := q.Dim(0), q.Dim(2), q.Dim(3), keys.Dim(1), keys.Dim(2)
		lanes := channels * q.DType.Size() / vectorBytes
		if channels*q.DType.Size()%vectorBytes != 0 || lanes != 8 && lanes != 16 && lanes != 32 {
			return nil, fmt.Sprintf("its kernel takes heads of 128, 256 or 512 bytes, not %d channels of %s", channels, q.DType)
		}
		queries := 1
		for queries < heads/groups {
			queries *= 2
		}
		if queries > mostQueries {
			return nil, fmt.Sprintf("its kernel takes at most %d query heads for a key/value head, not %d", mostQueries, heads/groups)
		}
		splits := attendSplits(batch*groups, capacity)
		values := sizes{
			"kHeads": heads, "kGroups": groups, "kCapacity": capacity, "kSplits": splits,
			"kEpsilonBits": floatBits(epsilon), "kScaleBits": floatBits(math.Log2E / math.Sqrt(float64(channels))),
		}
		text := openModule("attend_step_" + dtype)
		launch := func(kind string, results ...shapes.Shape) Launch {
			entry := fmt.Sprintf("%s_%s_l%d_q%d", kind, dtype, lanes, queries)
			return Launch{
				PTX: text.entry(entry, values), Entry: entry, Grid: [3]int{splits, groups, batch}, Block: [3]int{text.constant("kLaunchThreads"), 1, 1},
				Operands: []int{0, 1, 2, 3, 4, 5, 6, 7, 8}, Results: append([]shapes.Shape{keys, in[6]}, results...), Aliases: map[int]int{0: 5, 1: 6},
			}
		}
		next := len(in)
		if splits == 1 {
			return &Plan{Launches: []Launch{launch("attend_step", q)}, Outputs: []int{next + 2, next, next + 1}}, ""
		}
		parts := launch("attend_split", float32s(batch, heads, splits, channels), float32s(batch, heads, splits, 2))
		text, entry := openModule("attend_join_"+dtype), "attend_join_"+dtype
		join := Launch{
			PTX: text.entry(entry, values), Entry: entry, Grid: [3]int{heads, batch, 1}, Block: [3]int{text.constant("kLaunchPerChannel") * channels, 1, 1},
			Operands: []int{next + 2, next + 3}, Results: []shapes.Shape{q},
		}
		return &Plan{Launches: []Launch{parts, join}, Outputs: []int{next + 4, next, next + 1}}, ""
	}
}
