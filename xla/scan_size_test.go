package xla_test

import (
	"math"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/stretchr/testify/require"

	"tandem/tests/testkit"
	"tandem/xla"
)

// bigScan is a scan as in training, too large for the tape of blocks/ref: its gradient is the recurrence run backwards by
// hand, in float64, one channel after the other.
type bigScan struct {
	batch, time, inner, states             int
	u, delta, z, b, c, d, bias, seed, a    []float64
	marks                                  []int32
	out, du, dDelta, dz, dB, dC, dBias, dD []float64
}

func newBigScan(batch, time, inner, states int) *bigScan {
	random := rand.New(rand.NewPCG(7, 8))
	// Numbers that bfloat16 holds exactly, so that the inputs are the same for every dtype.
	draw := func(n int, deviation float64) []float64 {
		values := testkit.Random(random, n, deviation)
		for i, v := range values {
			values[i] = float64(math.Float32frombits(math.Float32bits(float32(v)) &^ 0xFFFF))
		}
		return values
	}
	tokens := batch * time
	s := &bigScan{
		batch: batch, time: time, inner: inner, states: states,
		u: draw(tokens*inner, 1), delta: draw(tokens*inner, 1), z: draw(tokens*inner, 1), b: draw(tokens*states, 1), c: draw(tokens*states, 1),
		d: draw(inner, 1), bias: draw(inner, 1), seed: draw(tokens*inner, 1), a: draw(inner*states, 0.1), marks: make([]int32, tokens),
		out: make([]float64, tokens*inner), du: make([]float64, tokens*inner), dDelta: make([]float64, tokens*inner), dz: make([]float64, tokens*inner),
		dB: make([]float64, tokens*states), dC: make([]float64, tokens*states), dBias: make([]float64, inner), dD: make([]float64, inner),
	}
	for i := range s.bias {
		s.bias[i] -= 4 // Δ of 0.001 to 0.1, as a model starts
	}
	for i := range s.a {
		s.a[i] -= float64(1 + i%states)
	}
	for i := range s.marks {
		if i%time > 0 && random.IntN(200) == 0 {
			s.marks[i] = xla.MarkStart
		}
	}
	return s
}

// solve fills the results. Rows share nothing but dBias and dD.
func (s *bigScan) solve() {
	var rows sync.WaitGroup
	var sums sync.Mutex
	for row := range s.batch {
		rows.Go(func() {
			for i := range s.inner {
				dBias, dD := s.channel(row, i)
				sums.Lock()
				s.dBias[i] += dBias
				s.dD[i] += dD
				sums.Unlock()
			}
		})
	}
	rows.Wait()
}

// exp avoids math.Exp: its assembly takes a microsecond a call, not 7 ns, once AVX has left the upper halves of registers in use.
func exp(x float64) float64 { return math.Exp2(x * math.Log2E) }

// channel is one channel of one row: forward, with all states kept, and back.
func (s *bigScan) channel(row, i int) (dBias, dD float64) {
	n := s.states
	h := make([]float64, (s.time+1)*n) // before each token
	for t := range s.time {
		token := row*s.time + t
		at := token*s.inner + i
		step := math.Log1p(exp(s.delta[at] + s.bias[i]))
		y := s.d[i] * s.u[at]
		for k := range n {
			before := h[t*n+k]
			if s.marks[token] == xla.MarkStart {
				before = 0
			}
			h[(t+1)*n+k] = exp(step*s.a[i*n+k])*before + step*s.u[at]*s.b[token*n+k]
			y += s.c[token*n+k] * h[(t+1)*n+k]
		}
		gate := s.z[at] / (1 + exp(-s.z[at]))
		s.out[at] = y * gate
	}
	adjoint := make([]float64, n) // of the state after the token
	for t := s.time - 1; t >= 0; t-- {
		token := row*s.time + t
		at := token*s.inner + i
		raw := s.delta[at] + s.bias[i]
		step, sigmoid := math.Log1p(exp(raw)), 1/(1+exp(-s.z[at]))
		dy := s.seed[at] * s.z[at] * sigmoid
		y, du, dStep := s.d[i]*s.u[at], dy*s.d[i], 0.0
		dD += dy * s.u[at]
		for k := range n {
			b, c, a, after := s.b[token*n+k], s.c[token*n+k], s.a[i*n+k], h[(t+1)*n+k]
			y += c * after
			g := adjoint[k] + dy*c
			s.dC[token*n+k] += dy * after
			s.dB[token*n+k] += g * step * s.u[at]
			du += g * step * b
			dStep += g * s.u[at] * b
			adjoint[k] = 0
			if s.marks[token] != xla.MarkStart {
				decay := exp(step * a)
				dStep += g * a * decay * h[t*n+k]
				adjoint[k] = g * decay
			}
		}
		s.du[at] = du
		s.dDelta[at] = dStep / (1 + exp(-raw))
		s.dz[at] = s.seed[at] * y * (sigmoid + s.z[at]*sigmoid*(1-sigmoid))
		dBias += s.dDelta[at]
	}
	return dBias, dD
}

// run gives out and the gradients in the order of solve's from the operation, in a dtype.
func (s *bigScan) run(t *testing.T, device *xla.Device, dtype dtypes.DType) [][]float64 {
	tokens := func(values []float64, last int) *tensors.Tensor { return testkit.Float(values, s.batch, s.time, last) }
	list := []*tensors.Tensor{
		tokens(s.u, s.inner), tokens(s.delta, s.inner), tokens(s.z, s.inner), tokens(s.b, s.states), tokens(s.c, s.states),
		testkit.Float(s.d, s.inner), testkit.Float(s.bias, s.inner), testkit.Float(s.a, s.inner, s.states), tokens(s.seed, s.inner),
		testkit.Int(s.marks, s.batch, s.time), testkit.Float(make([]float64, s.batch*s.states*s.inner), s.batch, s.states, s.inner),
	}
	return testkit.Run(t, device, list, func(n []*Node) []*Node {
		in := func(i int) *Node { return ConvertDType(n[i], dtype) }
		out, _ := xla.Scan(xla.ScanInputs{UBTI: in(0), DeltaBTI: in(1), ZBTI: in(2), BBTN: in(3), CBTN: in(4), DI: n[5], BiasI: n[6],
			ANI: Transpose(n[7], 0, 1), StartBNI: n[10], MarkBT: n[9]})
		out = ConvertDType(out, dtypes.Float32)
		return append([]*Node{out}, Gradient(ReduceAllSum(Mul(out, n[8])), n[:7]...)...)
	})
}

func TestTheScansKernelIsRightAtTheSizesOfTraining(t *testing.T) {
	device := testkit.Device(t)
	cases := map[string][3]int{"wide": {16, 512, 1536}, "cut into segments": {1, 2048, 640}}
	if device.Kind != "cuda" {
		cases = map[string][3]int{"small, for the definition unrolls every token": {2, 70, 24}}
	}
	for name, sizes := range cases {
		s := newBigScan(sizes[0], sizes[1], sizes[2], 16)
		s.solve()
		for dtype, most := range map[dtypes.DType]float64{dtypes.Float32: 2e-5, dtypes.BFloat16: 1e-2} {
			t.Run(name+" in "+dtype.String(), func(t *testing.T) {
				got := s.run(t, device, dtype)
				for i, want := range [][]float64{s.out, s.du, s.dDelta, s.dz, s.dB, s.dC, s.dD, s.dBias} {
					what := []string{"out", "u", "δ", "z", "B", "C", "D", "bias"}[i]
					t.Logf("%s: error %.2g of its size", what, relativeError(want, got[i]))
					require.Less(t, relativeError(want, got[i]), most, what)
				}
			})
		}
	}
}

// relativeError is |got - want| over |want|, as lengths of vectors.
func relativeError(want, got []float64) float64 {
	var apart, size float64
	for i := range want {
		apart, size = apart+(got[i]-want[i])*(got[i]-want[i]), size+want[i]*want[i]
	}
	return math.Sqrt(apart / size)
}
