package xla

import (
	"fmt"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
)

// MambaStepInputs are the operands of one token a row through the middle of the Mamba block, in the order of the
// operation's inputs: what CausalConv, the projections to Δ, B and C, and Scan take. All are of the compute dtype unless
// said otherwise; P = K + 2N.
type MambaStepInputs struct {
	XB1I, ZB1I              *Node // u before the convolution, and the gate
	ConvWeightWI, ConvBiasI *Node // float32
	WindowBWI               *Node // [B,W-1,I]
	ProjectIP               *Node // to Δ's rank K, B and C
	DeltaKI                 *Node // from the rank to Δ
	DeltaBiasI, LogAIN, DI  *Node // float32; A = -exp(LogA)
	StateBNI                *Node // float32
	LengthB                 *Node // 1, or 0 for a row without a token: int32
}

// MambaStep returns the gated output [B,1,I], and window and state after the token, which on CUDA take the places of
// those before. A row without a token keeps both, and its output means nothing.
func MambaStep(in MambaStepInputs) (outB1I, windowBWI, stateBNI *Node) {
	outputs := mambaStep.Call(in.XB1I, in.ZB1I, in.ConvWeightWI, in.ConvBiasI, in.WindowBWI, in.ProjectIP, in.DeltaKI, in.DeltaBiasI,
		in.LogAIN, in.DI, in.StateBNI, in.LengthB)
	return outputs[0], outputs[1], outputs[2]
}

var mambaStep = &Operation{
	Name:   "mamba_step",
	Kernel: mambaStepKernel,
	Definition: func(l []*Node) []*Node {
		in := MambaStepInputs{l[0], l[1], l[2], l[3], l[4], l[5], l[6], l[7], l[8], l[9], l[10], l[11]}
		full := func(x *Node) *Node { return ConvertDType(x, dtypes.Float32) }
		batch, rank, states, inner := in.XB1I.Shape().Dim(0), in.DeltaKI.Shape().Dim(0), in.LogAIN.Shape().Dim(1), in.XB1I.Shape().Dim(2)
		realB11 := ExpandAxes(GreaterThan(in.LengthB, Const(in.LengthB.Graph(), int32(0))), -1, -2)

		conv := causalConv(convOptions{window: true}).Definition([]*Node{in.XB1I, in.ConvWeightWI, in.ConvBiasI, in.WindowBWI})[0]
		moved := Concatenate([]*Node{SliceAxis(in.WindowBWI, 1, AxisRange(1)), in.XB1I}, 1)
		window := choose(realB11, moved, in.WindowBWI)

		all := product(flat(conv), in.ProjectIP, 1, 0)
		part := func(from, to int) *Node { return SliceAxis(all, -1, AxisRange(from, to)) }
		column := func(x *Node) *Node { return Reshape(full(x), batch, states, 1) }
		bBN1, cBN1 := column(part(rank, rank+states)), column(part(rank+states, rank+2*states))
		raw := Add(full(product(part(0, rank), in.DeltaKI, 1, 0)), Reshape(in.DeltaBiasI, 1, inner))
		delta := Mul(Reshape(softplus(raw), batch, 1, inner), full(realB11))
		u, aNI := full(conv), Neg(Exp(Transpose(in.LogAIN, 0, 1)))
		state := Add(Mul(Exp(Mul(delta, ExpandAxes(aNI, 0))), in.StateBNI), Mul(Mul(delta, u), bBN1))
		y := Add(ReduceAndKeep(Mul(state, cBN1), ReduceSum, 1), Mul(u, Reshape(in.DI, 1, 1, inner)))
		return []*Node{ConvertDType(Mul(y, silu(full(in.ZB1I))), in.XB1I.DType()), window, state}
	},
}

// The Mamba step on CUDA: kernels/mamba_step.cu.

const (
	mostTaps       = 8
	mostProjection = 2048
	// manyRows is from where blocks take rowsOfBlock rows each, for each block reads weights anew.
	manyRows, rowsOfBlock = 16, 4
	// mambaChannels is the channels of a block of the scan.
	mambaChannels = 32
)

func mambaStepKernel(in []shapes.Shape) (*Plan, string) {
	x, window, project, state := in[0], in[4], in[5], in[10]
	dtype, reason := kernelDType(x.DType)
	if reason != "" {
		return nil, reason
	}
	for _, shape := range []shapes.Shape{in[1], window, project, in[6]} {
		if shape.DType != x.DType {
			return nil, fmt.Sprintf("its kernel takes inputs of one dtype, not %s and %s", x.DType, shape.DType)
		}
	}
	batch, inner, taps, states, projected := x.Dim(0), x.Dim(2), in[2].Dim(0), state.Dim(1), project.Dim(1)
	switch {
	case taps > mostTaps:
		return nil, fmt.Sprintf("its kernel takes 2 to %d taps, not %d", mostTaps, taps)
	case states > largestScanState:
		return nil, fmt.Sprintf("its kernel takes at most %d states a channel, not %d", largestScanState, states)
	case projected*x.DType.Size()%vectorBytes != 0 || projected > mostProjection:
		return nil, fmt.Sprintf("its kernel takes a projection to a multiple of %d bytes, not to dt_rank + 2·state = %d", vectorBytes, projected)
	}
	// The fewer slices, the fewer parts to add up; the more, the more blocks.
	mixRows, scanRows, slice, padded := 1, 1, 128, 16
	if batch >= manyRows {
		mixRows, scanRows, slice = rowsOfBlock, rowsOfBlock, 512
	}
	if states > padded {
		scanRows, padded = 1, 64
	}
	if states > padded {
		padded = largestScanState
	}
	slices := ceilDiv(inner, slice)
	values := sizes{
		"kBatch": batch, "kInner": inner, "kTaps": taps, "kSlice": slice, "kSlices": slices, "kRank": projected - 2*states, "kStates": states,
	}
	text := openModule("mamba_step_" + dtype)
	threads := [3]int{text.constant("kLaunchThreads"), 1, 1}
	mixEntry := fmt.Sprintf("mamba_mix_%s_r%d", dtype, mixRows)
	mix := Launch{
		PTX: text.entry(mixEntry, values), Entry: mixEntry, Grid: [3]int{slices, ceilDiv(batch, mixRows), 1}, Block: threads,
		Operands: []int{0, 2, 3, 4, 5, 11}, Results: []shapes.Shape{window, x, float32s(slices, batch, projected)}, Aliases: map[int]int{0: 3},
	}
	next := len(in)
	scanEntry := fmt.Sprintf("mamba_scan_%s_r%d_n%d", dtype, scanRows, padded)
	scan := Launch{
		PTX: text.entry(scanEntry, values), Entry: scanEntry, Grid: [3]int{ceilDiv(inner, mambaChannels), ceilDiv(batch, scanRows), 1}, Block: threads,
		Shared:   4 * scanRows * projected,
		Operands: []int{next + 1, 1, next + 2, 6, 7, 8, 9, 10, 11}, Results: []shapes.Shape{state, x}, Aliases: map[int]int{0: 7},
	}
	return &Plan{Launches: []Launch{mix, scan}, Outputs: []int{next + 4, next, next + 3}}, ""
}
