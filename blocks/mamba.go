package blocks

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"tandem/xla"
)

// Mamba configures the M block: x += mamba(norm x), optionally x += mlp(norm x). Mamba-1 (Gu & Dao 2023,
// arXiv:2312.00752, section 3.4): projections to u and z, causal convolution and SiLU on u, Δ, B and C from u, the
// selective scan gated by silu(z), and a projection out.
type Mamba struct {
	// State is N, the states of a channel; 0 is 16.
	State int `json:"state"`
	// Conv is the taps of the convolution; 0 is 4.
	Conv int `json:"conv"`
	// Expand is the inner width over the model's; 0 is 2.
	Expand int `json:"expand"`
	// DtRank is the rank of Δ's projection; 0 is ⌈width/16⌉.
	DtRank int `json:"dt_rank"`
	// MLP adds the transformer block's MLP after the mixer.
	MLP bool `json:"mlp"`
	// MLPRatio is that MLP's hidden width over the model's; 0 is 4.
	MLPRatio int `json:"mlp_ratio"`
	// AcrossDocuments lets scan and convolution run on over document boundaries where rows are packed.
	AcrossDocuments bool `json:"across_documents"`
	// LR is the learning rate of the mixer's matrices as a share of matrix_lr; 0 is 0.5. What they make is multiplied: u, Δ, B,
	// C and the gate. At the rate that suits a transformer the loss stands still (docs/LOG.md, 2026-11-29).
	LR float64 `json:"lr"`
}

// UnmarshalJSON reads what a run recorded. One from before LR existed was trained at the whole rate, and goes on so.
func (m *Mamba) UnmarshalJSON(text []byte) error {
	type plain Mamba
	read := plain{LR: 1}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(&read)
	*m = Mamba(read)
	return err
}

func (m Mamba) resolved(width int) Mamba {
	if m.State == 0 {
		m.State = 16
	}
	if m.Conv == 0 {
		m.Conv = 4
	}
	if m.Expand == 0 {
		m.Expand = 2
	}
	if m.DtRank == 0 {
		m.DtRank = (width + 15) / 16
	}
	if m.MLPRatio == 0 {
		m.MLPRatio = MLPRatio
	}
	if m.LR == 0 {
		m.LR = 0.5
	}
	return m
}

// Validate implements Config.
func (m *Mamba) Validate(width int) error {
	if err := inRange("mamba", m); err != nil {
		return err
	}
	r := m.resolved(width)
	if err := checkChannels("mamba.expand", r.Expand, "the width", width); err != nil {
		return err
	}
	if err := checkChannels("mamba.mlp_ratio", r.MLPRatio, "the width", width); err != nil {
		return err
	}
	switch {
	case !(m.LR >= 0 && m.LR <= 100):
		return fmt.Errorf("mamba.lr %g: must lie between 0, the default, and 100", m.LR)
	case m.State > 256:
		return fmt.Errorf("mamba.state %d: more than 256 states a channel are not supported", m.State)
	case m.Conv == 1:
		return fmt.Errorf("mamba.conv 1: a convolution needs at least 2 taps")
	case m.DtRank > r.Expand*width:
		return fmt.Errorf("mamba.dt_rank %d: more than the inner width %d is not a low rank", m.DtRank, r.Expand*width)
	}
	return nil
}

// Derived implements Config.
func (m *Mamba) Derived(width int) []Derived {
	r := m.resolved(width)
	return []Derived{
		{"mamba.state", r.State, "16 unless given"},
		{"mamba.conv", r.Conv, "4 unless given"},
		{"mamba.expand", r.Expand, fmt.Sprintf("2 unless given; the inner width is expand · width = %d", r.Expand*width)},
		{"mamba.dt_rank", r.DtRank, "⌈width / 16⌉ unless given"},
		{"mamba.mlp", r.MLP, "false unless given"},
		{"mamba.mlp_ratio", r.MLPRatio, fmt.Sprintf("%d unless given; counts only with mlp", MLPRatio)},
		{"mamba.across_documents", r.AcrossDocuments, "false unless given: a new document starts from an empty state"},
		{"mamba.lr", r.LR, "0.5 unless given; the learning rate of its matrices as a share of matrix_lr"},
	}
}

// Build implements Config.
func (m *Mamba) Build(width int) Block {
	r := m.resolved(width)
	return &mamba{Mamba: r, width: width, inner: r.Expand * width, states: r.State}
}

type mamba struct {
	Mamba
	width, inner, states int
}

// Weights implements Block. Inputs are drawn like the transformer's, with deviation 1/√in (mamba-ssm: 1/√(3·in)), so
// that Muon sees one scale in every block. The output projection is zero as the transformer's, where mamba-ssm shrinks
// it by √layers: every block of a mixed stack then starts as the identity, and no kind drowns another out at first.
func (m *mamba) Weights() []Weight {
	tap := Uniform(1 / math.Sqrt(float64(m.Conv)))
	matrix := func(name string, in, out int, init Distribution) Weight {
		weight := matrix(name, in, out, init)
		weight.Rate = m.LR
		return weight
	}
	weights := []Weight{
		matrix("mamba.in_u", m.width, m.inner, Uniform(inputBound(m.width))),
		matrix("mamba.in_z", m.width, m.inner, Uniform(inputBound(m.width))),
		vector("mamba.conv.weight", GroupScalar, tap, m.Conv, m.inner),
		vector("mamba.conv.bias", GroupScalar, tap, m.inner),
		matrix("mamba.x", m.inner, m.DtRank+2*m.states, Uniform(inputBound(m.inner))),
		matrix("mamba.dt", m.DtRank, m.inner, Uniform(1/math.Sqrt(float64(m.DtRank)))),
		vector("mamba.dt_bias", GroupScalar, InverseSoftplus(1e-3, 1e-1), m.inner),
		vector("mamba.a_log", GroupScalar, LogIndex(), m.inner, m.states),
		vector("mamba.d", GroupScalar, One(), m.inner),
		matrix("mamba.out", m.inner, m.width, Zero()),
	}
	if m.MLP {
		weights = append(weights, mlpWeights(m.width, m.MLPRatio*m.width)...)
	}
	return weights
}

// State implements Block: the last inputs of the convolution and the scan's state, whatever the capacity. The scan's
// state is always float32: where Δ·|A| is near 1e-3, rounding to bfloat16 would freeze it.
func (m *mamba) State(batch, _ int) []StateTensor {
	return []StateTensor{
		{"window", []int{batch, m.Conv - 1, m.inner}, dtypes.InvalidDType},
		{"scan", []int{batch, m.states, m.inner}, dtypes.Float32},
	}
}

// Forward implements Block.
func (m *mamba) Forward(ctx *Context, weights Params, xBTD *Node, state []*Node) (*Node, []*Node) {
	xBTD.AssertDims(ctx.Batch, ctx.Time, m.width)
	normed, xBTD := normBeside(xBTD)
	in := xla.ScanInputs{
		ZBTI: dense(normed, weights["mamba.in_z"]), ANI: m.decay(weights), DI: weights["mamba.d"], BiasI: weights["mamba.dt_bias"],
		StartBNI: Zeros(ctx.Graph, shapes.Make(dtypes.Float32, ctx.Batch, m.states, m.inner)), MarkBT: ctx.markBT(!m.AcrossDocuments),
	}
	before := dense(normed, weights["mamba.in_u"])
	if state == nil && ctx.Economize {
		return m.finish(weights, xBTD, m.rebuiltScan(ctx, weights, before, in)), nil
	}
	var window *Node
	if state != nil {
		window, in.StartBNI = state[0], state[1]
	}
	in.UBTI, window = causalConv(ctx, before, weights["mamba.conv.weight"], weights["mamba.conv.bias"], window, !m.AcrossDocuments)
	in.DeltaBTI, in.BBTN, in.CBTN = m.selection(weights["mamba.x"], weights["mamba.dt"], in.UBTI)
	outBTI, last := xla.Scan(in)
	return m.finish(weights, xBTD, outBTI), []*Node{window, last}
}

// rebuiltScan is convolution, selection and scan, of which the backward pass does the first two again.
func (m *mamba) rebuiltScan(ctx *Context, weights Params, before *Node, in xla.ScanInputs) *Node {
	operands := []*Node{before, weights["mamba.conv.weight"], weights["mamba.conv.bias"], weights["mamba.x"], weights["mamba.dt"]}
	if !m.AcrossDocuments && ctx.DocumentBT != nil {
		operands = append(operands, ctx.DocumentBT)
	}
	build := func(operands []*Node) (uBTI, deltaBTI, bBTN, cBTN *Node) {
		conv := xla.ConvInputs{XBTI: operands[0], WeightWI: operands[1], BiasI: operands[2]}
		if len(operands) > 5 {
			conv.DocumentBT = operands[5]
		}
		uBTI = xla.CausalConv(conv)
		deltaBTI, bBTN, cBTN = m.selection(operands[3], operands[4], uBTI)
		return uBTI, deltaBTI, bBTN, cBTN
	}
	out, _ := xla.ScanRebuilt("mamba", operands, build, in)
	return out
}

// Step implements Block: one step of the recurrence without chunks.
func (m *mamba) Step(ctx *Context, weights Params, xB1D *Node, state []*Node) (*Node, []*Node) {
	if ctx.fusesSteps() {
		return m.fusedStep(ctx, weights, xB1D, state)
	}
	normed := Norm(xB1D)
	uB1I, window := causalConv(ctx, dense(normed, weights["mamba.in_u"]), weights["mamba.conv.weight"], weights["mamba.conv.bias"], state[0], false)
	deltaB1I, bB1N, cB1N := m.selection(weights["mamba.x"], weights["mamba.dt"], uB1I)

	u, z := ConvertDType(uB1I, dtypes.Float32), ConvertDType(dense(normed, weights["mamba.in_z"]), dtypes.Float32)
	delta := Softplus(Add(ConvertDType(deltaB1I, dtypes.Float32), Reshape(weights["mamba.dt_bias"], 1, 1, m.inner)))
	if ctx.LengthB != nil { // padding leaves the state
		delta = Where(ctx.paddingBT(), ZerosLike(delta), delta)
	}
	column := func(xB1N *Node) *Node { return Reshape(ConvertDType(xB1N, dtypes.Float32), ctx.Batch, m.states, 1) }
	decayBNI := Exp(Mul(delta, ExpandAxes(m.decay(weights), 0)))
	hBNI := Add(Mul(decayBNI, state[1]), Mul(Mul(delta, u), column(bB1N)))
	y := ReduceAndKeep(Mul(hBNI, column(cB1N)), ReduceSum, 1)
	y = Add(y, Mul(u, Reshape(weights["mamba.d"], 1, 1, m.inner)))
	return m.finish(weights, xB1D, ConvertDType(Mul(y, silu(z)), ctx.Compute)), []*Node{window, hBNI}
}

// fusedStep is Step in few kernels.
func (m *mamba) fusedStep(ctx *Context, weights Params, xB1D *Node, state []*Node) (*Node, []*Node) {
	outB1I, window, scan := xla.MambaStep(xla.MambaStepInputs{
		XB1D: xB1D, NormEpsilon: NormEpsilon, InDI: weights["mamba.in_u"], GateDI: weights["mamba.in_z"],
		ConvWeightWI: weights["mamba.conv.weight"], ConvBiasI: weights["mamba.conv.bias"], WindowBWI: state[0],
		ProjectIP: weights["mamba.x"], DeltaKI: weights["mamba.dt"], DeltaBiasI: weights["mamba.dt_bias"],
		LogAIN: weights["mamba.a_log"], DI: weights["mamba.d"], StateBNI: state[1], LengthB: ctx.LengthB,
	})
	xB1D = addProduct(xB1D, outB1I, weights["mamba.out"])
	if m.MLP {
		xB1D = stepMLP(weights, xB1D)
	}
	return xB1D, []*Node{window, scan}
}

// selection computes δ (before bias and softplus), B and C from u: what makes the state space selective.
func (m *mamba) selection(xIS, dtRI, uBTI *Node) (deltaBTI, bBTN, cBTN *Node) {
	all := dense(uBTI, xIS)
	rank := SliceAxis(all, -1, AxisRange(0, m.DtRank))
	b := SliceAxis(all, -1, AxisRange(m.DtRank, m.DtRank+m.states))
	c := SliceAxis(all, -1, AxisRange(m.DtRank+m.states))
	return dense(rank, dtRI), b, c
}

// decay is A = -exp(a_log) with states first, [N,I].
func (m *mamba) decay(weights Params) *Node { return Neg(Exp(Transpose(weights["mamba.a_log"], 0, 1))) }

// finish projects the scan's output back to the model's width, adds the residual and applies the optional MLP.
func (m *mamba) finish(weights Params, xBTD, outBTI *Node) *Node {
	branch := dense(outBTI, weights["mamba.out"])
	if m.MLP {
		return addMLP(weights, xBTD, branch)
	}
	return Add(xBTD, branch)
}

// Cost implements Block.
func (m *mamba) Cost(batch, time int) Cost {
	tokens, width, inner, states := float64(batch)*float64(time), float64(m.width), float64(m.inner), float64(m.states)
	matrices := 3*width*inner + inner*(float64(m.DtRank)+2*states) + float64(m.DtRank)*inner
	var parameters int
	for _, weight := range m.Weights() {
		parameters += weight.Size()
	}
	// Kept for backward, in numbers a token: the norm's output, u before the convolution, z, and the scan's output; beside
	// them the norm's scale, float32, and the scan's state at the start of each chunk, float32 too.
	bytes := 2*(width+3*inner) + 4
	starts := float64(batch*((time+xla.ScanChunk-1)/xla.ScanChunk)) * 4 * states * inner
	// Rebuilt: u after the convolution, δ, and the projection to B, C and δ's rank, whole and in parts.
	rebuilt := 2 * (2*inner + 2*(float64(m.DtRank)+2*states))
	// Gradients of u, δ, z and the scan's output, sums by parts over channels, and those of the projections: as many of the
	// inner width as XLA was measured to hold.
	workspace := 2 * (3*width + 10*inner)
	if m.MLP {
		hidden := float64(m.MLPRatio) * width
		matrices += 2 * width * hidden
		bytes += 2*(width+2*hidden) + 4
		workspace = max(workspace, mlpWorkspace(width, hidden))
	}
	mix := tokens * inner * (9*states + 2*float64(m.Conv)) // the field's convention for the scan
	var repeated float64
	if xla.ScanInSegments(batch, time, m.inner, m.states) { // whose ends are computed twice
		repeated = 0.45 * mix // as measured on an H200
	}
	return Cost{
		MatrixFLOPs:     2 * matrices * tokens,
		MixFLOPs:        mix,
		VectorFLOPs:     mix,
		RepeatedFLOPs:   repeated,
		WeightBytes:     int64(4 * parameters),
		ActivationBytes: int64(tokens*bytes + starts),
		RebuiltBytes:    int64(tokens * rebuilt),
		WorkspaceBytes:  int64(tokens * workspace),
		StateBytes:      StateBytes(StateIn(m.State(batch, time), dtypes.BFloat16)),
	}
}
