package xla_test

import (
	"math/rand/v2"
	"testing"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/stretchr/testify/require"

	"tandem/blocks/ref"
	"tandem/tests/testkit"
	"tandem/xla"
)

var tolerance = testkit.Tolerances[dtypes.Float32]

// scanCase is one scan with all of its inputs, in the layouts of the reference ([D,N] and [B,D,N] for A and the state).
type scanCase struct {
	batch, time, inner, states           int
	u, delta, z, a, b, c, d, bias, start []float64
	documents, lengths                   []int32
	largest                              int // numbers in the largest tensor of the last run's graph
	seed, stateSeed                      []float64
}

func randomScan(batch, time, inner, states int) scanCase {
	random := rand.New(rand.NewPCG(41, uint64(time*states)))
	draw := func(n int, deviation float64) []float64 { return testkit.Random(random, n, deviation) }
	s := scanCase{
		batch: batch, time: time, inner: inner, states: states,
		u: draw(batch*time*inner, 1), delta: draw(batch*time*inner, 1), z: draw(batch*time*inner, 1),
		b: draw(batch*time*states, 1), c: draw(batch*time*states, 1), d: draw(inner, 1), bias: draw(inner, 0.5),
		start: draw(batch*inner*states, 1), seed: draw(batch*time*inner, 1), stateSeed: draw(batch*inner*states, 1),
	}
	for range inner {
		for n := range states {
			s.a = append(s.a, -float64(n+1))
		}
	}
	return s
}

// marks is what Context gives the scan for the case's documents and lengths.
func (s scanCase) marks() []int32 {
	marks := make([]int32, s.batch*s.time)
	for i := range marks {
		b, t := i/s.time, i%s.time
		if s.documents != nil && t > 0 && s.documents[i] != s.documents[i-1] {
			marks[i] = xla.MarkStart
		}
		if s.lengths != nil && t >= int(s.lengths[b]) {
			marks[i] = xla.MarkPadding
		}
	}
	return marks
}

var gradientNames = []string{"u", "δ", "z", "A", "B", "C", "D", "bias", "h₀"}

// reference gives out, the last state, and the gradients of Σ out·seed + Σ last·stateSeed in the order of gradientNames.
func (s scanCase) reference() (out, last []float64, gradients [][]float64) {
	t := ref.NewTape()
	token, mix := []int{s.batch, s.time, s.inner}, []int{s.batch, s.time, s.states}
	in := ref.ScanInputs{
		U: t.Array(token, s.u), Delta: t.Array(token, s.delta), Z: t.Array(token, s.z), A: t.Array([]int{s.inner, s.states}, s.a),
		B: t.Array(mix, s.b), C: t.Array(mix, s.c), D: t.Array([]int{s.inner}, s.d), Bias: t.Array([]int{s.inner}, s.bias),
		H0: t.Array([]int{s.batch, s.inner, s.states}, s.start), Documents: s.documents, Lengths: s.lengths,
	}
	y, h := ref.Scan(t, in)
	t.Backward([]ref.Array{y, h}, [][]float64{s.seed, s.stateSeed})
	for _, input := range []ref.Array{in.U, in.Delta, in.Z, in.A, in.B, in.C, in.D, in.Bias, in.H0} {
		gradients = append(gradients, t.Grad(input))
	}
	return y.Values(), h.Values(), gradients
}

// run gives the same from the operation under test.
func (s *scanCase) run(t testing.TB, device *xla.Device) (out, last []float64, gradients [][]float64) {
	list := []*tensors.Tensor{
		testkit.Float(s.u, s.batch, s.time, s.inner), testkit.Float(s.delta, s.batch, s.time, s.inner), testkit.Float(s.z, s.batch, s.time, s.inner),
		testkit.Float(s.a, s.inner, s.states), testkit.Float(s.b, s.batch, s.time, s.states), testkit.Float(s.c, s.batch, s.time, s.states),
		testkit.Float(s.d, s.inner), testkit.Float(s.bias, s.inner), testkit.Float(s.start, s.batch, s.inner, s.states),
		testkit.Int(s.marks(), s.batch, s.time), testkit.Float(s.seed, s.batch, s.time, s.inner), testkit.Float(s.stateSeed, s.batch, s.inner, s.states),
	}
	outputs := testkit.Run(t, device, list, func(n []*Node) []*Node {
		out, last := xla.Scan(xla.ScanInputs{UBTI: n[0], DeltaBTI: n[1], ZBTI: n[2], ANI: Transpose(n[3], 0, 1), BBTN: n[4], CBTN: n[5],
			DI: n[6], BiasI: n[7], StartBNI: Transpose(n[8], 1, 2), MarkBT: n[9]})
		last = Transpose(last, 1, 2)
		loss := Add(ReduceAllSum(Mul(out, n[10])), ReduceAllSum(Mul(last, n[11])))
		outputs := append([]*Node{out, last}, Gradient(loss, n[:9]...)...)
		for _, node := range out.Graph().Nodes() {
			// A call's several outputs are split into nodes of their own, so that no output is missed.
			s.largest = max(s.largest, node.Shape().Size())
		}
		return outputs
	})
	return outputs[0], outputs[1], outputs[2:]
}

func (s *scanCase) compare(t *testing.T, device *xla.Device) {
	t.Helper()
	if s.lengths != nil { // what stands at padding is nobody's
		for i := range s.seed {
			if b, at := i/(s.time*s.inner), i/s.inner%s.time; at >= int(s.lengths[b]) {
				s.seed[i] = 0
			}
		}
	}
	wantOut, wantLast, wantGradients := s.reference()
	out, last, gradients := s.run(t, device)
	if s.lengths == nil {
		testkit.Close(t, "out", wantOut, out, tolerance.Forward)
	}
	testkit.Close(t, "last state", wantLast, last, tolerance.Forward)
	for i, name := range gradientNames {
		testkit.Close(t, "gradient of "+name, wantGradients[i], gradients[i], tolerance.Gradient)
	}
}

func TestScanAgreesWithItsReferenceInOutputsStatesAndEveryGradient(t *testing.T) {
	device := testkit.Device(t)
	for name, s := range map[string]scanCase{
		"one token":                 randomScan(2, 1, 3, 4),
		"less than a chunk":         randomScan(2, 9, 3, 4),
		"exactly a chunk":           randomScan(1, xla.ScanChunk, 3, 2),
		"a chunk and one":           randomScan(1, xla.ScanChunk+1, 3, 2),
		"several chunks and a rest": randomScan(2, 3*xla.ScanChunk+5, 2, 3),
		"one state":                 randomScan(1, 7, 2, 1),
	} {
		t.Run(name, func(t *testing.T) { s.compare(t, device) })
	}
}

func TestScanStartsDocumentsFromAnEmptyStateAndSkipsPadding(t *testing.T) {
	device := testkit.Device(t)
	documents := randomScan(2, xla.ScanChunk+8, 2, 3)
	documents.documents = make([]int32, documents.batch*documents.time)
	for i := range documents.documents {
		at := i % documents.time
		documents.documents[i] = int32(at / 8) // starts on and off the chunk's edge
		if i >= documents.time {
			documents.documents[i] = int32((at + 7) / 11)
		}
	}
	t.Run("documents", func(t *testing.T) { documents.compare(t, device) })
	padded := randomScan(3, xla.ScanChunk+4, 2, 3)
	padded.lengths = []int32{int32(padded.time), 5, 0}
	t.Run("padding", func(t *testing.T) { padded.compare(t, device) })
}

func TestScanIsRightAtExtremes(t *testing.T) {
	device := testkit.Device(t)
	for name, delta := range map[string]float64{
		"Δ of 20, beyond which softplus is linear": 20, "Δ of 1000, where the decay underflows": 1000, "Δ towards 0": -50, "Δ of exactly 0": -1000,
	} {
		t.Run(name, func(t *testing.T) {
			s := randomScan(1, 6, 2, 3)
			for i := range s.delta {
				s.delta[i] = delta
				if delta > 100 {
					s.u[i] /= delta // keep the state itself in range
				}
			}
			s.compare(t, device)
		})
	}
}

func TestScanHoldsNoTensorOfAllTokensAndStates(t *testing.T) {
	device := testkit.Device(t)
	const batch, time, inner, states = 1, 8 * xla.ScanChunk, 5, 7
	s := randomScan(batch, time, inner, states)
	s.run(t, device)
	require.Positive(t, s.largest)
	require.LessOrEqual(t, s.largest, max(batch*xla.ScanChunk*inner*states, batch*time*inner, batch*time*states),
		"a tensor for all tokens and states would have %d numbers", batch*time*inner*states)
}
