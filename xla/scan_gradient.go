package xla

import (
	"slices"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
)

// The gradient of the selective scan, by hand. With ḡ_t = ∂ℓ/∂out_t and y_t rebuilt from the states:
//
//	dz_t = ḡ_t·y_t·silu'(z_t)          q_t = ḡ_t·silu(z_t)
//	g_t  = q_t·C_t + a_{t+1}·g_{t+1}   (∂ℓ/∂h_t, a reverse scan; a = exp(Δ·A))
//	dC_t = Σ_i q_t·h_t                 dB_t = Σ_i g_t·Δ_t·u_t
//	s_t  = Σ_n g_t·B_t                 p_t  = a_t·h_{t-1}
//	du_t = Δ_t·s_t + D·q_t             dD   = Σ_{b,t} q_t·u_t
//	dΔ_t = u_t·s_t + Σ_n g_t·A·p_t     dA   = Σ_{b,t} g_t·Δ_t·p_t
//	dδ_t = dΔ_t·σ(δ_t + bias)          dh_0 = a_1·g_1
//
// Where a document starts a_t is 0, which every formula already says.

// scanBackward takes the inputs of scanForward with the chunks' start states [B,K,N,I] in place of the row's, and the
// adjoints of out and of the last state. It returns the gradients of all inputs but the marks.
var scanBackward = &Operation{
	Name:   "selective_scan_backward",
	Kernel: scanBackwardKernel,
	Definition: func(inputs []*Node) []*Node {
		in := scanInputsOf(inputs[:10])
		startsBKNI, dOutBTI, carryBNI := inputs[8], ConvertDType(inputs[10], dtypes.Float32), inputs[11]
		s := in.prepare()
		sigmoidZ := Logistic(s.zBTI)
		r := &reverse{scan: s, qBTI: Mul(dOutBTI, Mul(s.zBTI, sigmoidZ)), carryBNI: carryBNI}
		for k := (s.time - 1) / ScanChunk; k >= 0; k-- {
			r.chunk(k*ScanChunk, Reshape(at(startsBKNI, k), s.batch, s.count, s.inner))
		}
		return r.gradients(in, dOutBTI, sigmoidZ)
	},
}

// reverse gathers what the recurrence backwards yields, token by token with the last token first.
type reverse struct {
	*scan
	qBTI     *Node
	carryBNI *Node // ∂ℓ/∂(state before the tokens so far)

	mixed  []*Node // Σ_n C·h, [B,1,I]
	s      []*Node // Σ_n g·B, [B,1,I]
	slope  []*Node // Σ_n g·A·p, [B,1,I]
	dB, dC []*Node // [B,N,1]
	dABNI  *Node
}

// chunk rebuilds the states of the chunk that starts at token from, and runs g backwards through it.
func (r *reverse) chunk(from int, stateBNI *Node) {
	to := min(from+ScanChunk, r.time)
	decays, states := make([]*Node, to-from), []*Node{stateBNI}
	for t := from; t < to; t++ {
		decay, next := r.step(t, states[t-from])
		decays[t-from], states = decay, append(states, next)
	}
	ones := BroadcastToDims(constant(stateBNI, 1), r.batch, 1, r.count)
	for t := to - 1; t >= from; t-- {
		h, q, c := states[t-from+1], at(r.qBTI, t), Reshape(r.cB1N(t), r.batch, r.count, 1)
		g := Add(outer(c, q), r.carryBNI)
		r.carryBNI = Mul(decays[t-from], g)
		gpBNI := Mul(r.carryBNI, states[t-from]) // g·p, for p = a·h_{t-1}
		r.mixed = append(r.mixed, mixRows(r.cB1N(t), h))
		r.s = append(r.s, mixRows(Reshape(r.bBN1(t), r.batch, 1, r.count), g))
		r.slope = append(r.slope, mixRows(ones, Mul(gpBNI, r.aBNI)))
		r.dB = append(r.dB, dotRows(g, at(r.inputBTI, t)))
		r.dC = append(r.dC, dotRows(h, q))
		// Where a document starts p is zero, so it does not matter that decayBTI is not Δ there.
		dA := Mul(gpBNI, repeat(at(r.decayBTI, t), 1, r.count))
		if r.dABNI != nil {
			dA = Add(r.dABNI, dA)
		}
		r.dABNI = dA
	}
}

// gradients puts what was gathered together, in the order of scanBackward's outputs.
func (r *reverse) gradients(in ScanInputs, dOutBTI, sigmoidZ *Node) []*Node {
	joined := func(parts []*Node) *Node {
		slices.Reverse(parts)
		return concatenate(parts, 1)
	}
	one, sBTI := constant(r.dI, 1), joined(r.s)
	siluSlope := Mul(sigmoidZ, Add(one, Mul(r.zBTI, Sub(one, sigmoidZ))))
	dz := Mul(Mul(dOutBTI, Add(joined(r.mixed), r.skipBTI())), siluSlope)
	du := Add(Mul(r.deltaBTI, sBTI), Mul(r.qBTI, alongTokens(r.dI, r.batch, r.time)))
	dDelta := Add(Mul(r.uBTI, sBTI), joined(r.slope))
	dRaw := Where(r.paddingBT, constant(r.dI, 0), Mul(dDelta, Logistic(r.rawBTI)))
	perToken := func(parts []*Node) *Node { return Reshape(joined(parts), r.batch, r.time, r.count) }
	return []*Node{
		ConvertDType(du, in.UBTI.DType()), ConvertDType(dRaw, in.DeltaBTI.DType()), ConvertDType(dz, in.ZBTI.DType()),
		ReduceSum(r.dABNI, 0),
		ConvertDType(perToken(r.dB), in.BBTN.DType()), ConvertDType(perToken(r.dC), in.CBTN.DType()),
		sumColumns(Mul(r.qBTI, r.uBTI)), sumColumns(dRaw), r.carryBNI,
	}
}
