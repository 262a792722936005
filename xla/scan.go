package xla

import (
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
)

// The selective scan (Gu & Dao 2023, arXiv:2312.00752, algorithm 2), with everything that mamba-ssm fuses around it:
//
//	Δ_t = softplus(δ_t + bias)                     per channel i
//	h_t = exp(Δ_t·A) ⊙ h_{t-1} + Δ_t·u_t·B_t       per channel i and state n
//	y_t = Σ_n C_t,n·h_t,n + D·u_t
//	out_t = y_t·silu(z_t)
//
// At the first token of a document h_{t-1} counts as zero; at padding h stays as it is. States and all arithmetic are
// float32. Time goes token by token, and in chunks for the gradient, so that no tensor of size [B,T,N,I] ever exists: the
// forward pass keeps the state at the start of each chunk, and the gradient rebuilds one chunk at a time from there, last
// chunk first.

// What a token does to the state, for ScanInputs.MarkBT.
const (
	MarkContinue = int32(0) // the recurrence
	MarkStart    = int32(1) // the first token of a document: start from an empty state
	MarkPadding  = int32(2) // no token: leave the state
)

// ScanChunk is the tokens of one chunk (Q). Longer chunks keep fewer states and hold more at once.
const ScanChunk = 32

// ScanInputs are the operands of a scan, in the order of the operation's inputs.
type ScanInputs struct {
	UBTI, DeltaBTI, ZBTI *Node // compute dtype; DeltaBTI is δ, before bias and softplus
	ANI                  *Node // negative, float32
	BBTN, CBTN           *Node // compute dtype
	DI, BiasI            *Node // float32
	StartBNI             *Node // state before the row, float32
	MarkBT               *Node // what each token does to the state (one of the Mark constants), int32
}

func (in ScanInputs) list() []*Node {
	return []*Node{in.UBTI, in.DeltaBTI, in.ZBTI, in.ANI, in.BBTN, in.CBTN, in.DI, in.BiasI, in.StartBNI, in.MarkBT}
}

func scanInputsOf(list []*Node) ScanInputs {
	return ScanInputs{list[0], list[1], list[2], list[3], list[4], list[5], list[6], list[7], list[8], list[9]}
}

// Scan returns out [B,T,I] in the dtype of u and the state after the last token [B,N,I].
func Scan(in ScanInputs) (outBTI, lastBNI *Node) {
	outputs := scanForward.Call(in.list()...)
	return outputs[0], outputs[1]
}

var scanForward = &Operation{
	Name:   "selective_scan_forward",
	Kernel: scanForwardKernel,
	Definition: func(inputs []*Node) []*Node {
		in := scanInputsOf(inputs)
		s := in.prepare()
		state := in.StartBNI
		var mixed, starts []*Node
		for t := range s.time {
			if t%ScanChunk == 0 {
				starts = append(starts, ExpandAxes(state, 1))
			}
			_, state = s.step(t, state)
			mixed = append(mixed, mixRows(s.cB1N(t), state))
		}
		out := Mul(Add(concatenate(mixed, 1), s.skipBTI()), silu(s.zBTI))
		return []*Node{ConvertDType(out, in.UBTI.DType()), state, concatenate(starts, 1)}
	},
	Gradient: func(inputs, outputs, adjoints []*Node) []*Node {
		// The gradient takes the chunks' start states instead of the row's, then the adjoints of out and last.
		operands := append([]*Node{}, inputs...)
		operands[8] = outputs[2]
		gradients := scanBackward.Call(append(operands, adjoints[0], adjoints[1])...)
		return append(gradients, nil) // the marks have none
	},
}

// scan is its inputs in float32, with what is computed from them for all tokens at once.
type scan struct {
	batch, time, count, inner int // count is N

	uBTI, zBTI *Node
	rawBTI     *Node // δ + bias
	deltaBTI   *Node // Δ: 0 at padding, so that the state stays
	decayBTI   *Node // Δ, or forget where a document starts
	inputBTI   *Node // Δ·u
	paddingBT  *Node // bool
	aBNI       *Node // A of every row, or [1,N,I]
	bBMx1      *Node // B as [B, T·N, 1]
	cBTN       *Node
	dI         *Node
}

// forget is a Δ so large that exp(forget·A) is zero for any A that float32 can tell from zero.
const forget = float32(1e30)

func (in ScanInputs) prepare() *scan {
	full := func(x *Node) *Node { return ConvertDType(x, dtypes.Float32) }
	s := &scan{
		batch: in.UBTI.Shape().Dim(0), time: in.UBTI.Shape().Dim(1), count: in.ANI.Shape().Dim(0), inner: in.ANI.Shape().Dim(1),
		uBTI: full(in.UBTI), zBTI: full(in.ZBTI), cBTN: full(in.CBTN), dI: in.DI,
	}
	mark := func(value int32) *Node { return Equal(in.MarkBT, Const(in.MarkBT.Graph(), value)) }
	s.paddingBT = mark(MarkPadding)
	s.rawBTI = Add(full(in.DeltaBTI), alongTokens(in.BiasI, s.batch, s.time))
	s.deltaBTI = Where(s.paddingBT, constant(in.ANI, 0), softplus(s.rawBTI))
	s.decayBTI = Where(mark(MarkStart), constant(in.ANI, forget), s.deltaBTI)
	s.inputBTI = Mul(s.deltaBTI, s.uBTI)
	s.aBNI = repeat(ExpandAxes(in.ANI, 0), 0, s.batch)
	s.bBMx1 = Reshape(full(in.BBTN), s.batch, s.time*s.count, 1)
	return s
}

// at takes token t of a [B,T,…] tensor as [B,1,…].
func at(x *Node, t int) *Node { return SliceAxis(x, 1, AxisRange(t, t+1)) }

// bBN1 and cB1N are a token's B and C.
func (s *scan) bBN1(t int) *Node { return SliceAxis(s.bBMx1, 1, AxisRange(t*s.count, (t+1)*s.count)) }
func (s *scan) cB1N(t int) *Node { return at(s.cBTN, t) }

// step is one step of the recurrence: exp(Δ·A), 0 where a document starts, and the state after token t, both [B,N,I].
func (s *scan) step(t int, stateBNI *Node) (decayBNI, nextBNI *Node) {
	decayBNI = Exp(Mul(repeat(at(s.decayBTI, t), 1, s.count), s.aBNI))
	return decayBNI, Add(Mul(decayBNI, stateBNI), outer(s.bBN1(t), at(s.inputBTI, t)))
}

// skipBTI is D·u.
func (s *scan) skipBTI() *Node { return Mul(s.uBTI, alongTokens(s.dI, s.batch, s.time)) }

// constant is a float32 scalar in like's graph; GoMLX's own scalar helpers must not be used inside an operation.
func constant(like *Node, value float32) *Node { return Const(like.Graph(), value) }

// concatenate joins along an axis; a single part needs no copy.
func concatenate(parts []*Node, axis int) *Node {
	if len(parts) == 1 {
		return parts[0]
	}
	return Concatenate(parts, axis)
}

// softplus is ln(1 + exp(x)), exact for any x: max(x, 0) + ln(1 + exp(-|x|)).
func softplus(x *Node) *Node {
	return Add(Max(x, constant(x, 0)), Log1P(Exp(Neg(Abs(x)))))
}

// silu is x·σ(x).
func silu(x *Node) *Node { return Mul(x, Logistic(x)) }
