package generate

import (
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"tandem/xla"
)

// choose picks each row's next token from its logits, as Sampling says: the ids, int32 [B], and their log-probabilities
// under the model itself, before penalty, temperature and limits, float32 [B].
func (c controls) choose(logitsBV *Node) (chosenB, logProbB *Node) {
	g := logitsBV.Graph()
	vocab := logitsBV.Shape().Dim(1)
	distanceBV := c.distance(logitsBV)
	limitB1 := c.option(optionDistance)
	if c.limited {
		limitB1 = Min(limitB1, c.farthest(distanceBV, c.option(optionTopK), c.option(optionTopP)))
	}
	scoreBV := Sub(Mul(gumbel(c.seedB2, c.positionB, vocab), c.option(optionNoise)), distanceBV)
	scoreBV = Where(LessOrEqual(distanceBV, limitB1), scoreBV, Const(g, -noLimit))
	chosenB = ArgMax(scoreBV, -1, dtypes.Int32)

	shiftB1 := ReduceAndKeep(logitsBV, ReduceMax, -1)
	logSumB1 := Add(Log(xla.SumLast(Exp(Sub(logitsBV, shiftB1)))), shiftB1)
	index := Stack([]*Node{Iota(g, chosenB.Shape(), 0), chosenB}, -1)
	logProbB = Sub(Gather(logitsBV, index), Squeeze(logSumB1, -1))
	return chosenB, logProbB
}

// option is one column of the sampling options, float32 [B,1].
func (c controls) option(column int) *Node {
	return SliceAxis(c.optionsBF, 1, AxisRange(column, column+1))
}

// distance says how far each token's logit, penalised and divided by the temperature, lies below the row's largest:
// ln(p_max/p), float32 [B,V], never negative.
func (c controls) distance(logitsBV *Node) *Node {
	penalty := c.option(optionPenalty)
	positive := GreaterThan(logitsBV, Const(logitsBV.Graph(), float32(0)))
	penalised := Where(positive, Div(logitsBV, penalty), Mul(logitsBV, penalty))
	penalised = Where(c.seenBV, penalised, logitsBV)
	top := ReduceAndKeep(penalised, ReduceMax, -1)
	return Mul(Sub(top, penalised), c.option(optionScale))
}

// farthest is the distance of the last token that top-k and top-p keep, float32 [B,1]: the smallest d such that the
// tokens within d number at least k or hold at least the probability p. It bisects over the bits of d, for floats that
// are not negative are ordered as the integers that share their bits; 31 halvings find d exactly, without a sort.
func (c controls) farthest(distanceBV, kB1, pB1 *Node) *Node {
	g := distanceBV.Graph()
	bitsBV := Bitcast(distanceBV, dtypes.Int32)
	sums := c.sums(distanceBV)
	totalB2 := sums(LessOrEqual(bitsBV, Const(g, int32(math.MaxInt32))))
	neededB2 := Concatenate([]*Node{kB1, Mul(pB1, SliceAxis(totalB2, 1, AxisRange(1, 2)))}, 1)
	lowB1 := Zeros(g, shapes.Make(dtypes.Int32, kB1.Shape().Dimensions...))
	for bit := 30; bit >= 0; bit-- {
		half := int32(1) << bit
		reachedB2 := GreaterOrEqual(sums(LessOrEqual(bitsBV, Add(lowB1, Const(g, half-1)))), neededB2)
		lowB1 = Where(ReduceAndKeep(reachedB2, ReduceLogicalOr, -1), lowB1, Add(lowB1, Const(g, half)))
	}
	// Where no limit is reached every half was added: the bits of a NaN, which nothing is less than.
	found := Bitcast(lowB1, dtypes.Float32)
	return Where(GreaterThan(lowB1, Const(g, int32(0x7f7fffff))), Const(g, noLimit), found)
}

// sums returns a function that sums over chosen tokens: their number and their exp(-distance), float32 [B,2].
func (c controls) sums(distanceBV *Node) func(chosenBV *Node) *Node {
	g := distanceBV.Graph()
	massBV := Exp(Neg(distanceBV))
	if !c.slowSums {
		return func(chosenBV *Node) *Node {
			count := ReduceAndKeep(ConvertDType(chosenBV, dtypes.Float32), ReduceSum, -1)
			mass := ReduceAndKeep(Where(chosenBV, massBV, Const(g, float32(0))), ReduceSum, -1)
			return Concatenate([]*Node{count, mass}, -1)
		}
	}
	oneBV := BroadcastToShape(Const(g, float32(1)), distanceBV.Shape())
	bothB2V := Stack([]*Node{oneBV, massBV}, 1)
	return func(chosenBV *Node) *Node {
		return Dot(ConvertDType(chosenBV, dtypes.Float32), bothB2V).General([]int{1}, []int{0}, []int{2}, []int{0})
	}
}
