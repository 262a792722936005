package train

import (
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"

	"tandem/xla"
)

// The guard decides on the device, inside the step, whether an update may happen: not if the loss or the gradient's norm
// is not finite, nor if either jumps more than SpikeLimit deviations above its running mean. A skipped step leaves
// weights and optimizer as they were. A jump that stays is no spike but other data: skipped steps count in the running
// mean too, at no more than the limit, so that after a few of them the guard has got used to it.

// The layout of the guard's vector: running mean and variance of loss and norm, observations, steps
// skipped in a row, steps skipped in all.
const (
	guardLossMean = iota
	guardLossVariance
	guardNormMean
	guardNormVariance
	guardSeen
	guardRow
	guardTotal
	guardSize
)

const (
	guardDecay = 0.98
	// guardWarmup is the observations before spikes count.
	guardWarmup = 50
	// guardFloor is the least relative deviation that counts: a flat loss must not make every ripple a spike.
	guardFloor = 0.02
)

// watch returns whether the update may happen (a bool scalar) and the guard after this step.
func (o Options) watch(guard, loss, norm *Node) (allowed, next *Node) {
	g := guard.Graph()
	part := func(i int) *Node { return Reshape(SliceAxis(guard, 0, AxisRange(i, i+1))) }
	finite := LogicalAnd(IsFinite(loss), IsFinite(norm))
	seen := part(guardSeen)
	warm := GreaterOrEqual(seen, Const(g, float32(guardWarmup)))

	spike := Const(g, false)
	if o.SpikeLimit > 0 {
		jumps := func(value, mean, variance *Node) *Node {
			return GreaterThan(Sub(value, mean), MulScalar(deviation(mean, variance), o.SpikeLimit))
		}
		spike = LogicalAnd(warm, LogicalOr(
			jumps(loss, part(guardLossMean), part(guardLossVariance)),
			jumps(norm, part(guardNormMean), part(guardNormVariance))))
	}
	allowed = LogicalAnd(finite, LogicalNot(spike))

	// A debiased average: the first observations weigh as much as later ones.
	weight := Max(Const(g, float32(1-guardDecay)), Inverse(AddScalar(seen, 1)))
	observe := func(value, mean, variance *Node) (nextMean, nextVariance *Node) {
		difference := Sub(value, mean)
		if o.SpikeLimit > 0 {
			limit := MulScalar(deviation(mean, variance), o.SpikeLimit)
			difference = Where(warm, Min(difference, limit), difference)
		}
		nextMean = Add(mean, Mul(weight, difference))
		nextVariance = Mul(OneMinus(weight), Add(variance, Mul(weight, Square(difference))))
		return Where(finite, nextMean, mean), Where(finite, nextVariance, variance)
	}
	lossMean, lossVariance := observe(loss, part(guardLossMean), part(guardLossVariance))
	normMean, normVariance := observe(norm, part(guardNormMean), part(guardNormVariance))
	ok := ConvertDType(allowed, dtypes.Float32)
	seen = Add(seen, ConvertDType(finite, dtypes.Float32))
	row := Mul(OneMinus(ok), AddScalar(part(guardRow), 1))
	total := Add(part(guardTotal), OneMinus(ok))
	return allowed, Stack([]*Node{lossMean, lossVariance, normMean, normVariance, seen, row, total}, 0)
}

// deviation is what counts as one: of a flat loss at least guardFloor of its mean.
func deviation(mean, variance *Node) *Node {
	return Max(Sqrt(variance), MulScalar(Abs(mean), guardFloor))
}

// globalNorm is the root of the summed squares of all gradients.
func globalNorm(gradients []*Node) *Node {
	sum := xla.SumAll(Square(gradients[0]))
	for _, gradient := range gradients[1:] {
		sum = Add(sum, xla.SumAll(Square(gradient)))
	}
	return Sqrt(sum)
}
