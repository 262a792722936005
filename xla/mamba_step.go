package xla

import (
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
)

// MambaStepInputs are the operands of one token a row through the Mamba block, from the norm to the gate: what the
// products to u and z, CausalConv, the projections to Δ, B and C, and Scan take. All are of the compute dtype unless said
// otherwise; P = K + 2N.
type MambaStepInputs struct {
	XB1D                    *Node   // the stream
	NormEpsilon             float64 // of its RMSNorm; 0 is no norm
	InDI, GateDI            *Node   // to u and z
	ConvWeightWI, ConvBiasI *Node   // float32
	WindowBWI               *Node   // [B,W-1,I]
	ProjectIP               *Node   // from u to Δ's rank K, B and C
	DeltaKI                 *Node   // from the rank to Δ
	DeltaBiasI, LogAIN, DI  *Node   // float32; A = -exp(LogA)
	StateBNI                *Node   // float32
	LengthB                 *Node   // 1, or 0 for a row without a token: int32
}

// MambaStep returns the gated output [B,1,I], and window and state after the token, which on CUDA take the places of
// those before. A row without a token keeps both, and its output means nothing.
func MambaStep(in MambaStepInputs) (outB1I, windowBWI, stateBNI *Node) {
	u, z, window := in.conv()
	projected := wideProduct(u, in.ProjectIP)
	outputs := scanStep.Call(u, z, projected, transposed(in.DeltaKI), in.DeltaBiasI, in.LogAIN, in.DI, in.StateBNI, in.LengthB)
	return outputs[0], window, outputs[1]
}

// conv gives u after the convolution, z, and the window after the token.
func (in MambaStepInputs) conv() (uB1I, zB1I, windowBWI *Node) {
	rest := []*Node{in.ConvWeightWI, in.ConvBiasI, in.WindowBWI, in.LengthB}
	if FusesSteps(in.XB1D) && convProductsTake(in.XB1D.Shape(), in.InDI.Shape().Dim(1)) {
		outputs := convProducts(in.NormEpsilon).Call(append([]*Node{in.XB1D, transposed(in.InDI), transposed(in.GateDI)}, rest...)...)
		return outputs[0], outputs[1], outputs[2]
	}
	products := Products(in.XB1D, ProductOptions{NormEpsilon: in.NormEpsilon}, in.InDI, in.GateDI)
	outputs := convStep.Call(append(products[:1], rest...)...)
	return outputs[0], products[1], outputs[1]
}

// convProducts takes x [B,1,K], weights [I,K] to u and to z, and the rest of convStep's inputs to u, z and the window.
func convProducts(epsilon float64) *Operation {
	return &Operation{
		Name:    "conv_products",
		Options: epsilonName(epsilon),
		Kernel:  convProductsKernel(epsilon),
		Definition: func(l []*Node) []*Node {
			x := normedRows(l[0], epsilon)
			shaped := func(x, weight *Node) *Node {
				return Reshape(product(x, weight, 1, 1), withLast(l[0], weight.Shape().Dim(0))...)
			}
			outputs := convStep.Definition(append([]*Node{shaped(x, l[1])}, l[3:]...))
			return []*Node{outputs[0], shaped(OptimizationBarrier(x), l[2]), outputs[1]} // apart, as in Products
		},
	}
}

// convStep takes x [B,1,I], weight [W,I], bias [I], window [B,W-1,I] and length [B] to silu(conv(x)) and the window after it.
var convStep = &Operation{
	Name:   "conv_step",
	Kernel: convStepKernel,
	Definition: func(l []*Node) []*Node {
		u := causalConv(convOptions{window: true}).Definition(l[:4])[0]
		moved := Concatenate([]*Node{SliceAxis(l[3], 1, AxisRange(1)), l[0]}, 1)
		return []*Node{u, choose(hasToken(l[4]), moved, l[3])}
	},
}

// hasToken is true [B,1,1] where a row's length is not 0.
func hasToken(lengthB *Node) *Node {
	return ExpandAxes(GreaterThan(lengthB, Const(lengthB.Graph(), int32(0))), -1, -2)
}

// scanStep takes u and z [B,1,I], the projection [B,1,P] in float32, the weight to Δ [I,K], and MambaStepInputs from
// DeltaBiasI on, to the output and the state.
var scanStep = &Operation{
	Name:   "scan_step",
	Kernel: scanStepKernel,
	Definition: func(l []*Node) []*Node {
		uB1I, zB1I, all, deltaIK, biasI, logAIN, dI, stateBNI, real := l[0], l[1], l[2], l[3], l[4], l[5], l[6], l[7], hasToken(l[8])
		full := func(x *Node) *Node { return ConvertDType(x, dtypes.Float32) }
		batch, rank, states, inner := uB1I.Shape().Dim(0), deltaIK.Shape().Dim(1), logAIN.Shape().Dim(1), uB1I.Shape().Dim(2)
		part := func(from, to int) *Node { return SliceAxis(all, -1, AxisRange(from, to)) }
		column := func(x *Node) *Node { return Reshape(x, batch, states, 1) }
		bBN1, cBN1 := column(part(rank, rank+states)), column(part(rank+states, rank+2*states))
		raw := Add(product(flat(part(0, rank)), full(deltaIK), 1, 1), Reshape(biasI, 1, inner))
		delta := Mul(Reshape(softplus(raw), batch, 1, inner), full(real))
		u, aNI := full(uB1I), Neg(Exp(Transpose(logAIN, 0, 1)))
		state := Add(Mul(Exp(Mul(delta, ExpandAxes(aNI, 0))), stateBNI), Mul(Mul(delta, u), bBN1))
		y := Add(ReduceAndKeep(Mul(state, cBN1), ReduceSum, 1), Mul(u, Reshape(dI, 1, 1, inner)))
		return []*Node{ConvertDType(Mul(y, silu(full(zB1I))), uB1I.DType()), state}
	},
}
