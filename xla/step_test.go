package xla_test

import (
	"math/rand/v2"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/stretchr/testify/require"

	"tandem/tests/testkit"
	"tandem/xla"
)

// drawn are tensors of random numbers.
func drawn(sizes ...[]int) (list []*tensors.Tensor) {
	random := rand.New(rand.NewPCG(7, uint64(len(sizes))))
	for _, size := range sizes {
		list = append(list, testkit.Float(testkit.Random(random, testkit.Size(size...), 0.5), size...))
	}
	return list
}

// requireSame runs a graph whose outputs come in two halves that must agree.
func requireSame(t *testing.T, inputs []*tensors.Tensor, build func(in []*Node) []*Node) {
	t.Helper()
	t.Cleanup(xla.FuseEverywhere())
	outputs := testkit.Run(t, testkit.Device(t), inputs, build)
	half := len(outputs) / 2
	for i := range half {
		testkit.Close(t, "output", outputs[half+i], outputs[i], tolerance.Forward)
	}
}

func TestProductsAreNormDenseActivationAndResidual(t *testing.T) {
	const width, hidden = 64, 192
	for name, rows := range map[string]int{"one row": 1, "three rows": 3, "eight rows": 8, "more rows than the kernel takes": 9} {
		t.Run(name, func(t *testing.T) {
			inputs := drawn([]int{rows, 1, width}, []int{width, width}, []int{width, hidden}, []int{width, width}, []int{hidden, width})
			requireSame(t, inputs, func(in []*Node) []*Node {
				fused := xla.Products(in[0], xla.ProductOptions{NormEpsilon: 1e-6}, in[1], in[2], in[3])
				up := xla.Products(in[0], xla.ProductOptions{NormEpsilon: 1e-6, SquareReLU: true}, in[2])[0]
				down := xla.Products(up, xla.ProductOptions{Residual: in[0]}, in[4])[0]
				normed := xla.RMSNorm(in[0], 1e-6)
				hidden := xla.SquareReLU(xla.Dense(normed, in[2]))
				stored := Transpose(Transpose(in[2], 0, 1), 0, 1) // a weight that lies as the kernels read it
				return append(fused, up, down, xla.Logits(in[0], stored, 1e-6, 2),
					xla.Dense(normed, in[1]), xla.Dense(normed, in[2]), xla.Dense(normed, in[3]), hidden, Add(in[0], xla.Dense(hidden, in[4])),
					MulScalar(Tanh(DivScalar(xla.Dense(normed, in[2]), 2)), 2))
			})
		})
	}
}

// Rows 0 and 2 have a token; row 1 has none, and row 3 has one that its full cache has no room for.
func TestAStepOfAttentionIsAttentionOverTheCacheWithTheNewTokenInIt(t *testing.T) {
	const batch, capacity, channels = 4, 12, 32
	positions, lengths := []int32{0, 5, 11, capacity}, []int32{1, 0, 1, 1}
	for name, heads := range map[string][2]int{"a head for each key head": {2, 2}, "three heads for each key head": {6, 2}} {
		t.Run(name, func(t *testing.T) {
			h, g := heads[0], heads[1]
			inputs := drawn([]int{batch, 1, h, channels}, []int{batch, 1, g, channels}, []int{batch, 1, g, channels}, []int{batch, 1, 1, channels / 2},
				[]int{batch, capacity, g, channels}, []int{batch, capacity, g, channels})
			inputs = append(inputs, testkit.Int(positions, batch), testkit.Int(lengths, batch))
			requireSame(t, inputs, func(in []*Node) []*Node {
				cos, sin, position, length := Cos(in[3]), Sin(in[3]), in[6], in[7]
				y, keys, values := xla.AttendStep(xla.AttendStepInputs{
					QB1HE: in[0], KB1GE: in[1], VB1GE: in[2], Cos: cos, Sin: sin, KeysBCGE: in[4], ValuesBCGE: in[5], PositionB: position, LengthB: length,
				}, 1e-6)

				slot := Iota(in[0].Graph(), shapes.Make(dtypes.Int32, batch, capacity), 1)
				at := BroadcastToDims(ExpandAxes(position, -1), batch, capacity)
				real := BroadcastToDims(ExpandAxes(GreaterThan(length, ZerosLike(length)), -1), batch, capacity)
				put := func(cache, x *Node) *Node {
					fresh := BroadcastToShape(ExpandAxes(LogicalAnd(Equal(slot, at), real), -1, -2), cache.Shape())
					return Where(fresh, BroadcastToShape(x, cache.Shape()), cache)
				}
				wantKeys, wantValues := put(in[4], xla.RotaryNorm(in[1], cos, sin, 1e-6)), put(in[5], in[2])
				bias := MulScalar(ConvertDType(GreaterThan(slot, at), dtypes.Float32), -1e9)
				want := xla.Attend(xla.RotaryNorm(in[0], cos, sin, 1e-6), wantKeys, wantValues, ExpandAxes(bias, 1))
				want = Mul(want, BroadcastToShape(ExpandAxes(ConvertDType(length, dtypes.Float32), -1, -2, -3), want.Shape()))
				return []*Node{y, keys, values, want, wantKeys, wantValues}
			})
		})
	}
}

// Row 1 has no token, so its window and state must stay.
func TestAStepOfMambaIsNormProductsConvolutionSelectionAndScanOverOneToken(t *testing.T) {
	const width, inner, taps, rank = 32, 64, 4, 8
	for name, c := range map[string]struct{ batch, states int }{
		"16 states": {3, 16}, "40 states": {3, 40}, "more rows than share weights": {9, 16}, "many rows": {21, 12}, "many rows and states": {17, 20},
	} {
		t.Run(name, func(t *testing.T) {
			batch, states := c.batch, c.states
			inputs := drawn([]int{batch, 1, width}, []int{width, inner}, []int{width, inner}, []int{taps, inner}, []int{inner}, []int{batch, taps - 1, inner},
				[]int{inner, rank + 2*states}, []int{rank, inner}, []int{inner}, []int{inner, states}, []int{inner}, []int{batch, states, inner})
			lengths := make([]int32, batch)
			for i := range lengths {
				lengths[i] = 1
			}
			lengths[1] = 0
			inputs = append(inputs, testkit.Int(lengths, batch))
			requireSame(t, inputs, func(in []*Node) []*Node {
				out, window, state := xla.MambaStep(xla.MambaStepInputs{
					XB1D: in[0], NormEpsilon: 1e-6, InDI: in[1], GateDI: in[2], ConvWeightWI: in[3], ConvBiasI: in[4], WindowBWI: in[5], ProjectIP: in[6],
					DeltaKI: in[7], DeltaBiasI: in[8], LogAIN: in[9], DI: in[10], StateBNI: in[11], LengthB: in[12],
				})
				normed := xla.RMSNorm(in[0], 1e-6)
				before := xla.Dense(normed, in[1])
				u := xla.CausalConv(xla.ConvInputs{XBTI: before, WeightWI: in[3], BiasI: in[4], WindowBWI: in[5]})
				all := xla.Dense(u, in[6])
				part := func(from, to int) *Node { return SliceAxis(all, -1, AxisRange(from, to)) }
				padding := Equal(in[12], ZerosLike(in[12]))
				mark := Where(padding, BroadcastToShape(Const(in[0].Graph(), xla.MarkPadding), padding.Shape()), ZerosLike(in[12]))
				wantOut, wantState := xla.Scan(xla.ScanInputs{
					UBTI: u, DeltaBTI: xla.Dense(part(0, rank), in[7]), ZBTI: xla.Dense(normed, in[2]), ANI: Neg(Exp(Transpose(in[9], 0, 1))),
					BBTN: part(rank, rank+states), CBTN: part(rank+states, rank+2*states), DI: in[10], BiasI: in[8], StartBNI: in[11],
					MarkBT: ExpandAxes(mark, -1),
				})
				moved := Concatenate([]*Node{SliceAxis(in[5], 1, AxisRange(1)), before}, 1)
				kept := BroadcastToShape(ExpandAxes(padding, -1, -2), moved.Shape())
				real := ConvertDType(ExpandAxes(in[12], -1, -2), dtypes.Float32)
				return []*Node{Mul(out, BroadcastToShape(real, out.Shape())), window, state, Mul(wantOut, BroadcastToShape(real, out.Shape())), Where(kept, in[5], moved), wantState}
			})
		})
	}
}

func TestStepsAreFusedOnCUDAAlone(t *testing.T) {
	device := testkit.Device(t)
	testkit.Run(t, device, drawn([]int{1}), func(in []*Node) []*Node {
		require.Equal(t, device.Kind == "cuda", xla.FusesSteps(in[0]))
		t.Setenv(xla.KernelsVariable, "off")
		require.False(t, xla.FusesSteps(in[0]))
		return in
	})
}
