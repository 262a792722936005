package xla

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/stretchr/testify/require"
)

func ints(dims ...int) shapes.Shape { return shapes.Make(dtypes.Int32, dims...) }

// planned is an operation and input shapes for which it has a kernel.
type planned struct {
	operation *Operation
	inputs    []shapes.Shape
}

// addStepPlans adds the operations of decoding.
func addStepPlans(cases map[string]planned, dtype dtypes.DType, name string) {
	x := func(dims ...int) shapes.Shape { return shapes.Make(dtype, dims...) }
	for _, rows := range []int{1, 3, 8} {
		one, square, long := x(rows, 1, 64), x(64, 64), x(65537, 64)
		label := fmt.Sprintf("%s %d rows", name, rows)
		cases["one product of "+label] = planned{matvec(matvecOptions{relu: true, residual: true}), []shapes.Shape{one, one, square}}
		cases["three products of "+label] = planned{matvec(matvecOptions{epsilon: 1e-6}), []shapes.Shape{one, square, long, square}}
		cases["logits of "+label] = planned{wide(1e-6, 15), []shapes.Shape{one, long}}
		cases["products and convolution of "+label] = planned{convProducts(1e-6), []shapes.Shape{one, x(96, 64), x(96, 64), float32s(4, 96), float32s(96), x(rows, 3, 96), ints(rows)}}
	}
	if name == "bf16" {
		cases["projection of many rows"] = planned{wide(0, 0), []shapes.Shape{x(33, 1, 512), x(24, 512)}}
	}
	for _, heads := range []int{2, 6, 16} {
		channels := 256 / dtype.Size()
		token, cache, table := x(3, 1, 2, channels), x(3, 500, 2, channels), float32s(3, 1, 1, channels/2)
		cases[fmt.Sprintf("attention step %s %d heads", name, heads)] = planned{attendStep(1e-6), []shapes.Shape{x(3, 1, heads, channels), token, token, table, table, cache, cache, ints(3), ints(3)}}
	}
	for _, batch := range []int{1, 33} {
		const inner, taps, rank = 96, 4, 16
		one := x(batch, 1, inner)
		cases[fmt.Sprintf("convolution step %s %d rows", name, batch)] = planned{convStep, []shapes.Shape{one, float32s(taps, inner), float32s(inner), x(batch, taps-1, inner), ints(batch)}}
		for _, states := range []int{16, 40, 200} {
			cases[fmt.Sprintf("scan step %s %d rows %d states", name, batch, states)] = planned{scanStep, []shapes.Shape{one, one, float32s(batch, 1, rank+2*states),
				x(inner, rank), float32s(inner), float32s(inner, states), float32s(inner), float32s(batch, states, inner), ints(batch)}}
		}
	}
}

// plannedOperations lists every operation with a kernel, at sizes that take its different entries.
func plannedOperations() map[string]planned {
	cases := map[string]planned{}
	for dtype, name := range kernelDTypes {
		x := func(dims ...int) shapes.Shape { return shapes.Make(dtype, dims...) }
		for _, width := range []int{7, 128, 4096} {
			cases[fmt.Sprintf("norm %s %d", name, width)] = planned{rmsNorm(1e-6), []shapes.Shape{x(2, 3, width)}}
			cases[fmt.Sprintf("norm of a sum %s %d", name, width)] = planned{addRMSNorm(1e-6), []shapes.Shape{x(2, 3, width), x(2, 3, width)}}
			cases[fmt.Sprintf("norm gradient %s %d", name, width)] = planned{rmsNormGradient, []shapes.Shape{x(2, 3, width), float32s(2, 3, 1), x(2, 3, width), x(2, 3, width)}}
		}
		for _, channels := range []int{6, 64, 128} {
			heads, scale, table := x(2, 3, 4, channels), float32s(2, 3, 4, 1), float32s(1, 3, 1, channels/2)
			cases[fmt.Sprintf("rotary %s %d", name, channels)] = planned{rotaryNorm(1e-6), []shapes.Shape{heads, table, table}}
			cases[fmt.Sprintf("rotary gradient %s %d", name, channels)] = planned{rotaryNormGradient, []shapes.Shape{heads, scale, heads, table, table}}
		}
		if name != "f16" {
			addStepPlans(cases, dtype, name)
		}
		for _, vocab := range []int{37, 64} {
			cases[fmt.Sprintf("cross-entropy %s %d", name, vocab)] = planned{crossEntropy(15), []shapes.Shape{x(5, vocab), ints(5), float32s(5)}}
		}
		for _, taps := range []int{2, 4, 5} {
			for _, inner := range []int{6, 64} {
				for _, o := range []convOptions{{}, {window: true}, {documents: true}, {window: true, documents: true}} {
					inputs := []shapes.Shape{x(2, 9, inner), float32s(taps, inner), float32s(inner)}
					if o.window {
						inputs = append(inputs, x(2, taps-1, inner))
					}
					if o.documents {
						inputs = append(inputs, ints(2, 9))
					}
					label := fmt.Sprintf("%s %d taps %d channels%s", name, taps, inner, o.name())
					cases["conv "+label] = planned{causalConv(o), inputs}
					cases["conv gradient "+label] = planned{causalConvGradient(o), append(append([]shapes.Shape{}, inputs...), x(2, 9, inner))}
				}
			}
		}
		for _, states := range []int{1, 16, 40, 256} {
			token, mix, state := x(2, 70, 5), x(2, 70, states), float32s(2, states, 5)
			forward := []shapes.Shape{token, token, token, float32s(states, 5), mix, mix, float32s(5), float32s(5), state, ints(2, 70)}
			cases[fmt.Sprintf("scan %s %d", name, states)] = planned{scanForward, forward}
			backward := append([]shapes.Shape{}, forward...)
			backward[8] = float32s(2, 3, states, 5)
			cases[fmt.Sprintf("scan gradient %s %d", name, states)] = planned{scanBackward, append(backward, token, state)}
		}
	}
	return cases
}

// A kernel's outputs have the shapes and dtypes of its definition's, and its launches name entries that are there, with as
// many arguments as the entry takes.
func TestPlansFitTheirDefinitions(t *testing.T) {
	device, err := Open("go")
	require.NoError(t, err)
	defer device.Finalize()
	for name, c := range plannedOperations() {
		t.Run(name, func(t *testing.T) {
			plan, reason := c.operation.Kernel(c.inputs)
			require.Empty(t, reason)
			var want []string
			require.NoError(t, Try(func() error {
				g := graph.NewGraph(device.Backend, "definition")
				defer g.Finalize()
				parameters := make([]*graph.Node, len(c.inputs))
				for i, shape := range c.inputs {
					parameters[i] = graph.Parameter(g, fmt.Sprintf("p%d", i), shape)
				}
				for _, output := range c.operation.Definition(parameters) {
					want = append(want, output.Shape().String())
				}
				return nil
			}))
			var got []string
			for _, shape := range plan.outputShapes(c.inputs) {
				got = append(got, shape.String())
			}
			require.Equal(t, want, got)
			for i, launch := range plan.Launches {
				_, signature, found := strings.Cut(launch.PTX, ".entry "+launch.Entry+"(")
				require.True(t, found, launch.Entry)
				signature, _, _ = strings.Cut(signature, ")")
				require.Equal(t, len(launch.Operands)+len(launch.Results), strings.Count(signature, ".param"), launch.Entry)
				require.NotContains(t, launch.PTX, fmt.Sprint(firstPlaceholder+1), "a size that was not filled in")
				for _, size := range append(launch.Grid[:], launch.Block[:]...) {
					require.Positive(t, size)
				}
				for result, operand := range launch.Aliases {
					values := append([]shapes.Shape{}, c.inputs...)
					for _, before := range plan.Launches[:i] {
						values = append(values, before.Results...)
					}
					require.True(t, launch.Results[result].Equal(values[launch.Operands[operand]]), "a result in place of an operand has its shape")
				}
			}
		})
	}
}

func TestKernelsRefuseWhatTheyCannotServe(t *testing.T) {
	double := shapes.Make(dtypes.Float64, 2, 8)
	for want, plan := range map[string]func() (*Plan, string){
		"its kernel takes bfloat16, float16 and float32, not Float64": func() (*Plan, string) { return rmsNormKernel(1e-6)([]shapes.Shape{double}) },
		"its kernel takes a softcap of at most 64, not 70": func() (*Plan, string) {
			return crossEntropyKernel(70)([]shapes.Shape{float32s(2, 8), ints(2), float32s(2)})
		},
		"its kernel takes 2 to 8 taps, not 9": func() (*Plan, string) {
			return causalConvKernel(convOptions{})([]shapes.Shape{float32s(1, 4, 8), float32s(9, 8), float32s(8)})
		},
		"its kernel takes at most 256 states a channel, not 257": func() (*Plan, string) {
			token, mix := float32s(1, 4, 8), float32s(1, 4, 257)
			return scanForwardKernel([]shapes.Shape{token, token, token, float32s(257, 8), mix, mix, float32s(8), float32s(8), float32s(1, 257, 8), ints(1, 4)})
		},
		"its kernel takes at most 8 rows, not 9": func() (*Plan, string) {
			return matvecKernel(matvecOptions{})([]shapes.Shape{float32s(9, 1, 64), float32s(64, 64)})
		},
		"its kernel has no room for 8 rows of 8192 numbers": func() (*Plan, string) {
			return matvecKernel(matvecOptions{})([]shapes.Shape{float32s(8, 1, 8192), float32s(64, 8192)})
		},
		"its kernel takes rows of a multiple of 16 bytes, not 6 numbers": func() (*Plan, string) {
			return wideKernel(1e-6, 15)([]shapes.Shape{float32s(1, 1, 6), float32s(12, 6)})
		},
		"its kernel takes more than 8 rows in bfloat16 alone, with a multiple of 256 numbers, for a multiple of 8 columns; not Float32 256 for 8": func() (*Plan, string) {
			return wideKernel(0, 0)([]shapes.Shape{float32s(9, 1, 256), float32s(8, 256)})
		},
		"its kernel takes rows of a multiple of 4 bytes, not 7 numbers": func() (*Plan, string) {
			half := func(dims ...int) shapes.Shape { return shapes.Make(dtypes.BFloat16, dims...) }
			return convStepKernel([]shapes.Shape{half(2, 1, 7), float32s(4, 7), float32s(7), half(2, 3, 7), ints(2)})
		},
		"its kernel takes bfloat16 and float32, not Float16": func() (*Plan, string) {
			half := shapes.Make(dtypes.Float16, 1, 1, 64)
			return wideKernel(1e-6, 15)([]shapes.Shape{half, half})
		},
		"its kernel takes heads of 128, 256 or 512 bytes, not 48 channels of Float32": func() (*Plan, string) {
			return attendStepKernel(1e-6)([]shapes.Shape{float32s(1, 1, 2, 48), float32s(1, 1, 2, 48), float32s(1, 1, 2, 48), float32s(1, 1, 1, 24), float32s(1, 1, 1, 24),
				float32s(1, 9, 2, 48), float32s(1, 9, 2, 48), ints(1), ints(1)})
		},
		"its kernel takes a dt_rank of a multiple of 16 bytes, not 7 numbers": func() (*Plan, string) {
			one := float32s(1, 1, 8)
			return scanStepKernel([]shapes.Shape{one, one, float32s(1, 1, 39), float32s(8, 7), float32s(8), float32s(8, 16), float32s(8), float32s(1, 16, 8), ints(1)})
		},
		"its kernel takes inputs of one dtype, not Float32 and BFloat16": func() (*Plan, string) {
			token, mix := float32s(1, 4, 8), shapes.Make(dtypes.BFloat16, 1, 4, 3)
			return scanForwardKernel([]shapes.Shape{token, token, token, float32s(3, 8), mix, mix, float32s(8), float32s(8), float32s(1, 3, 8), ints(1, 4)})
		},
	} {
		refused, reason := plan()
		require.Nil(t, refused)
		require.Equal(t, want, reason)
	}
}

func TestOneTokensAttentionFillsTheGPUAtOnce(t *testing.T) {
	for _, c := range []struct{ heads, capacity, want int }{{10, 2048, 32}, {10, 32768, 66}, {640, 2048, 1}, {320, 2048, 2}, {4096, 2048, 1}, {10, 40, 1}, {1, 1 << 20, 512}} {
		require.Equal(t, c.want, attendSplits(c.heads, c.capacity), "%d heads over %d tokens", c.heads, c.capacity)
	}
}

func TestProductsTakeTheFewestColumnsAWarpWithWhichAllBlocksRunAtOnce(t *testing.T) {
	for _, c := range []struct{ rows, columns, blocks, n0, n1 int }{
		{1, 1, 160, 1280, 0}, {1, 2, 240, 1280, 2560}, {1, 2, 320, 5120, 0}, {1, 2, 396, 65536, 0}, {8, 1, 160, 1280, 0}, {8, 2, 264, 5120, 0}, {1, 1, 1, 3, 4},
	} {
		weights := []shapes.Shape{shapes.Make(dtypes.BFloat16, c.n0, 1280), shapes.Make(dtypes.BFloat16, c.n1, 1280)}
		m, reason := matvecSizesOf(shapes.Make(dtypes.BFloat16, c.rows, 1, 1280), weights)
		require.Empty(t, reason)
		columns, blocks := m.blocks(8)
		require.Equal(t, []int{c.columns, c.blocks}, []int{columns, blocks}, "%d rows, %d and %d columns", c.rows, c.n0, c.n1)
	}
}

func TestTimeIsCutIntoSegmentsWhereRowsAndChannelsLeaveTheGPUIdle(t *testing.T) {
	for _, c := range []struct{ batch, time, inner, want int }{
		{16, 2048, 2560, 1}, {8, 2048, 2560, 1}, {4, 8192, 2560, 4}, {2, 8192, 2560, 4}, {1, 16384, 2560, 9}, {1, 64, 64, 1},
	} {
		s := scanSizes{batch: c.batch, time: c.time, inner: c.inner, segments: 1}.segmented(64, 3)
		require.Equal(t, c.want, s.segments, "%d rows of %d tokens", c.batch, c.time)
		require.GreaterOrEqual(t, s.segments*s.segmentTiles(s.segments), s.tiles(), "every token is in a segment")
		require.Less(t, (s.segments-1)*s.segmentTiles(s.segments), s.tiles(), "no segment is empty")
	}
}
