package xla

import (
	"fmt"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
)

// The loss of a language model's head, with its product: logits = x·W, soft-capped to l = cap·tanh(logits/cap) (Gemma 2,
// arXiv:2408.00118, section 2), loss_m = ln Σ_v exp(l_mv) - l_m,target. Rows go through in chunks, and a chunk's gradient
//
//	∂/∂logits = weight_m·(exp(l - ln Σ exp l) - [v = target])·(1 - tanh²)
//
// is taken while its logits are at hand, so that neither logits nor their gradient ever exist for all rows.

// HeadLoss returns Σ_m weight_m·loss_m (a scalar that can be differentiated) and loss_m [M] (which cannot), float32, in
// nats. x is [M,D] in the compute dtype, head [D,V] float32, targets int32 [M] and weights float32 [M]. A target below
// zero is ignored: its loss and gradient are zero.
func HeadLoss(xMD, headDV, targetsM, weightsM *Node, softcap float64) (total, lossM *Node) {
	outputs := headLoss(softcap, headRows(xMD, headDV)).Call(xMD, headDV, targetsM, weightsM)
	return outputs[0], StopGradient(outputs[1])
}

// HeadLosses returns HeadLoss's loss_m [M] alone, without the gradient that HeadLoss takes on the way.
func HeadLosses(xMD, headDV, targetsM *Node, softcap float64) (lossM *Node) {
	if !goForms(xMD) { // the kernel gives both
		_, lossM = HeadLoss(xMD, headDV, targetsM, ConvertDType(ZerosLike(targetsM), dtypes.Float32), softcap)
		return lossM
	}
	return headLosses(softcap, headRows(xMD, headDV)).Call(xMD, headDV, targetsM)[0]
}

// headRows is the rows of a chunk.
func headRows(xMD, headDV *Node) int {
	vocab := headDV.Shape().Dim(1)
	if goForms(xMD) {
		return min(chunkRows(vocab), max(1, goChunkLogits/vocab))
	}
	return chunkRows(vocab)
}

// chunkLogits is how many logits exist at once. On the Go backend they are few enough for the processor's cache.
const (
	chunkLogits   = 1 << 29
	goChunkLogits = 1 << 20
)

// chunkRows is the rows of a chunk; a variable for tests alone.
var chunkRows = func(vocab int) int { return max(1, chunkLogits/vocab) }

func headLoss(softcap float64, rows int) *Operation {
	return &Operation{
		Name:    "head_loss",
		Options: fmt.Sprintf("_cap%d_rows%d", int(softcap*1000), rows),
		Definition: func(inputs []*Node) []*Node {
			x, head := inputs[0], inputs[1]
			weightDV := ConvertDType(head, x.DType())
			var losses, dxs []*Node
			lanes := make([]lane, headLanes(x))
			for from := 0; from < x.Shape().Dim(0); from += rows {
				to := min(from+rows, x.Shape().Dim(0))
				piece := func(all *Node) *Node { return SliceAxis(all, 0, AxisRange(from, to)) }
				l := &lanes[from/rows%len(lanes)]
				xMD := l.after(piece(x))
				logitsMV := product(xMD, weightDV, 1, 0)
				outputs := crossEntropy(softcap).Call(logitsMV, piece(inputs[2]), piece(inputs[3]))
				loss, dLogitsMV := outputs[0], outputs[1]
				losses = append(losses, loss)
				dx := productTransposed(dLogitsMV, weightDV)
				dxs = append(dxs, dx)
				l.add(SumAll(Mul(loss, piece(inputs[3]))), transposedProduct(xMD, dLogitsMV, dtypes.Float32), dx)
			}
			total, dHead := lanes[0].total, lanes[0].dHead
			for _, l := range lanes[1:] {
				if l.dHead != nil {
					total, dHead = Add(total, l.total), Add(dHead, l.dHead)
				}
			}
			return []*Node{total, concatenate(losses, 0), concatenate(dxs, 0), dHead}
		},
		Gradient: func(_, outputs, adjoints []*Node) []*Node {
			dx, dHead := outputs[2], outputs[3]
			return []*Node{Mul(dx, ConvertDType(adjoints[0], dx.DType())), Mul(dHead, adjoints[0]), nil, nil}
		},
	}
}

func headLosses(softcap float64, rows int) *Operation {
	return &Operation{
		Name:    "head_losses",
		Options: fmt.Sprintf("_cap%d_rows%d", int(softcap*1000), rows),
		Definition: func(inputs []*Node) []*Node {
			var losses []*Node
			for from := 0; from < inputs[0].Shape().Dim(0); from += rows {
				chunk := AxisRange(from, min(from+rows, inputs[0].Shape().Dim(0)))
				x, targetsM := SliceAxis(inputs[0], 0, chunk), SliceAxis(inputs[2], 0, chunk)
				if before := len(losses) - headLanes(x); before >= 0 {
					x = OptimizationBarriers(x, losses[before])[0]
				}
				_, probability := cappedSoftmax(product(x, ConvertDType(inputs[1], x.DType()), 1, 0), softcap)
				ofTarget, _ := target(probability, targetsM)
				ignored := LessThan(targetsM, Const(x.Graph(), int32(0)))
				losses = append(losses, Where(ignored, constant(x, 0), nats(ofTarget, probability)))
			}
			return []*Node{concatenate(losses, 0)}
		},
	}
}

// lane is a sequence of chunks, one after the other: their sums, and the last one's gradient.
type lane struct{ total, dHead, dx *Node }

// headLanes is how many sequences of chunks run side by side: one on XLA, which uses the whole device for each operation
// and would otherwise hold the logits of all chunks; as many as share the work on the Go backend, whose element-wise
// operations use one core each.
func headLanes(x *Node) int {
	if goForms(x) {
		return 2
	}
	return 1
}

// after makes x wait for the lane's last chunk: for both products with its gradient, which is held until they are done.
func (l *lane) after(x *Node) *Node {
	if l.dx == nil {
		return x
	}
	return OptimizationBarriers(x, l.dx, l.dHead)[0]
}

func (l *lane) add(total, dHead, dx *Node) {
	l.dx = dx
	if l.dHead == nil {
		l.total, l.dHead = total, dHead
		return
	}
	l.total, l.dHead = Add(l.total, total), Add(l.dHead, dHead)
}

// crossEntropy is one chunk: logits [M,V], targets and weights [M] to loss [M], float32, and ∂(Σ weight·loss)/∂logits.
func crossEntropy(softcap float64) *Operation {
	return &Operation{
		Name:    "cross_entropy",
		Options: fmt.Sprintf("_cap%d", int(softcap*1000)),
		Kernel:  crossEntropyKernel(softcap),
		Definition: func(inputs []*Node) []*Node {
			logits, targetsM, weightsM := inputs[0], inputs[1], inputs[2]
			half, probability := cappedSoftmax(logits, softcap)
			one, zero := constant(logits, 1), constant(logits, 0)
			ofTarget, beside := target(probability, targetsM)
			ignored := LessThan(targetsM, Const(logits.Graph(), int32(0)))
			weightM := Where(ignored, zero, Mul(weightsM, constant(logits, 4)))
			gradient := Mul(Mul(beside, Mul(half, Sub(one, half))), ExpandAxes(weightM, -1))
			return []*Node{Where(ignored, zero, nats(ofTarget, probability)), ConvertDType(gradient, logits.DType())}
		},
	}
}

// cappedSoftmax is σ(2·logits/cap), of which tanh(logits/cap) = 2σ - 1 and 1 - tanh² = 4σ(1 - σ), and the softmax of
// cap·tanh(logits/cap), both float32.
func cappedSoftmax(logits *Node, softcap float64) (half, probability *Node) {
	half = Logistic(Mul(ConvertDType(logits, dtypes.Float32), constant(logits, float32(2/softcap))))
	return half, Softmax(Sub(Mul(half, constant(logits, float32(2*softcap))), constant(logits, float32(softcap))), -1)
}

// nats is -ln of the targets' probabilities [M]. Those of the Go backend are divided by their sum first, for its softmax adds up
// one number after the other: of 65,536 nearly equal ones the sum is wrong by up to 7e-4.
func nats(ofTargetM, probabilityMV *Node) *Node {
	if goForms(probabilityMV) {
		ofTargetM = Div(ofTargetM, Reshape(SumLast(probabilityMV), -1))
	}
	return Neg(Log(ofTargetM))
}

// target gives the probability of each row's target [M], and the probabilities less one there [M,V]. For a negative target
// neither means anything.
func target(probabilityMV, targetsM *Node) (ofTargetM, besideMV *Node) {
	g := probabilityMV.Graph()
	if goForms(probabilityMV) {
		row := Iota(g, targetsM.Shape(), 0)
		index := Stack([]*Node{row, Max(targetsM, Const(g, int32(0)))}, -1)
		minusOnes := BroadcastToDims(constant(probabilityMV, -1), targetsM.Shape().Dimensions...)
		return Gather(probabilityMV, index), ScatterSum(probabilityMV, index, minusOnes, true, true)
	}
	shape := probabilityMV.Shape().Clone()
	shape.DType = dtypes.Int32
	hot := Equal(Iota(g, shape, -1), ExpandAxes(targetsM, -1))
	zero, one := constant(probabilityMV, 0), constant(probabilityMV, 1)
	return ReduceSum(Where(hot, probabilityMV, zero), -1), Sub(probabilityMV, Where(hot, one, zero))
}
