package xla

import (
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/stretchr/testify/require"
)

// WithLimits is the Go backend, taken for a GPU of these limits: graphs build on it with every kernel that such a GPU
// runs, but give zeros.
func WithLimits(t *testing.T, limits Limits) *Device {
	t.Helper()
	device, err := Open("go")
	require.NoError(t, err)
	emit := func(f compute.Function, _, _ string, results []shapes.Shape, _ []compute.Value) ([]compute.Value, error) {
		values := make([]compute.Value, len(results))
		for i, shape := range results {
			zero, err := f.Constant([]float32{0})
			if err != nil {
				return nil, err
			}
			if zero, err = f.ConvertDType(zero, shape.DType); err != nil {
				return nil, err
			}
			if values[i], err = f.BroadcastInDim(zero, shape, nil); err != nil {
				return nil, err
			}
		}
		return values, nil
	}
	device.Backend = &kernels{Backend: device.Backend, cuda: true, limits: limits, reach: reach{
		emit: emit, switched: func(compute.Builder) {},
		alias: func([]compute.Value, map[int]int) error { return nil }, place: func(compute.Value, int) error { return nil },
	}}
	t.Cleanup(device.Finalize)
	return device
}

// backwardInputs are those of a scan's gradient.
func backwardInputs(dtype dtypes.DType, states int) []shapes.Shape {
	token, mix, state := shapes.Make(dtype, 2, 70, 64), shapes.Make(dtype, 2, 70, states), float32s(2, states, 64)
	return []shapes.Shape{token, token, token, float32s(states, 64), mix, mix, float32s(64), float32s(64), float32s(2, 3, states, 64), ints(2, 70), token, state}
}

func TestAKernelThatTakesMoreSharedMemoryThanTheGPUHasIsRefused(t *testing.T) {
	half := func(dims ...int) shapes.Shape { return shapes.Make(dtypes.BFloat16, dims...) }
	ada, ampere, hopper := Limits{"8.9", 99 << 10}, Limits{"8.0", 163 << 10}, Limits{"9.0", 227 << 10}
	for name, c := range map[string]struct {
		operation *Operation
		inputs    []shapes.Shape
		limits    Limits
		want      string
	}{
		"16 states on a card":       {scanBackward, backwardInputs(dtypes.BFloat16, 16), ada, ""},
		"128 states on a card":      {scanBackward, backwardInputs(dtypes.BFloat16, 128), ada, "its kernel takes 117 KiB of shared memory a block, this GPU has 99"},
		"128 states on an A100":     {scanBackward, backwardInputs(dtypes.BFloat16, 128), ampere, ""},
		"256 states on an A100":     {scanBackward, backwardInputs(dtypes.BFloat16, 256), ampere, "its kernel takes 225 KiB of shared memory a block, this GPU has 163"},
		"256 states on an H200":     {scanBackward, backwardInputs(dtypes.BFloat16, 256), hopper, ""},
		"256 states, limit unknown": {scanBackward, backwardInputs(dtypes.BFloat16, 256), Limits{}, ""},
		"a projection on a card":    {wide(0, 0), []shapes.Shape{half(33, 1, 512), half(24, 512)}, ada, "its kernel takes 124 KiB of shared memory a block, this GPU has 99"},
		"8 long rows on a card": {matvec(matvecOptions{}), []shapes.Shape{half(8, 1, 6656), half(64, 6656)}, ada,
			"its kernel takes 105 KiB of shared memory a block, this GPU has 99"},
		"what the kernel refuses by itself": {scanBackward, backwardInputs(dtypes.BFloat16, 257), ada, "its kernel takes at most 256 states a channel, not 257"},
	} {
		t.Run(name, func(t *testing.T) {
			plan, reason := c.operation.kernelWithin(c.limits, c.inputs)
			require.Equal(t, c.want, reason)
			require.Equal(t, c.want == "", plan != nil)
		})
	}
}

func TestTheLimitIsTheLastByteThatABlockMayHave(t *testing.T) {
	plan := &Plan{Launches: []Launch{{Shared: 10}, {PTX: ".shared .align 4 .b8 mine[24];\n", Shared: 1000}}}
	require.Empty(t, Limits{SharedMemory: 1024}.refused(plan))
	require.Equal(t, "its kernel takes 1 KiB of shared memory a block, this GPU has 0", Limits{SharedMemory: 1023}.refused(plan))
}

func TestAnOperationBeyondTheGPUsLimitsRunsItsDefinition(t *testing.T) {
	device, configs := plannedDevice(t)
	device.Backend.(*kernels).limits = Limits{SharedMemory: 99 << 10}
	greedy := difference("")
	greedy.Name = "test_greedy"
	inner := greedy.Kernel
	greedy.Kernel = func(in []shapes.Shape) (*Plan, string) {
		plan, reason := inner(in)
		plan.Launches[0].Shared = 99<<10 + 1
		return plan, reason
	}
	require.Equal(t, []float32{4, 5}, runDifference(t, device, greedy))
	require.Empty(t, *configs)
	require.Equal(t, "its kernel takes 100 KiB of shared memory a block, this GPU has 99", reasonOf("test_greedy"))
}

func TestTheSelfTestTellsAKernelThatIsRefusedFromOneThatAgrees(t *testing.T) {
	device := WithLimits(t, Limits{"8.9", 99 << 10})
	check := selfTest{scanBackward, backwardInputs(device.Compute, 128), nil}.check(device)
	require.Equal(t, "its kernel takes 117 KiB of shared memory a block, this GPU has 99", check.Refused)
	require.Empty(t, check.Problem)
	require.True(t, check.OK())
}

func TestSharedMemoryIsWhatTheEntryDeclaresAndTheLaunchAdds(t *testing.T) {
	const text = `.version 7.1
.target sm_80
.extern .shared .align 16 .b8 dynamic[];
.shared .align 4 .b8 _ZZ5storeILi4ELi8EE4sums[40960];

.visible .entry first(
	.param .u64 a
)
{
	.reg .b32 	%r<4>;
	// demoted variable
	.shared .align 4 .b8 largest$1[64];
	.shared .align 16 .b8 value[4096];
	st.shared.u32 [value+128], %r1;
}
`
	require.Equal(t, 40960+64+4096+5, Launch{PTX: text, Shared: 5}.sharedMemory())
	require.Equal(t, 7, Launch{PTX: "no declaration", Shared: 7}.sharedMemory())
	for entry, want := range map[string]int{"first": 64, "second": 128} {
		launch := Launch{PTX: module{"two", twoEntries}.entry(entry, sizes{"kRows": 1, "kColumns": 1, "kOther": 1})}
		require.Equal(t, want, launch.sharedMemory(), "of the arrays at the head only those that the entry uses")
	}
}

// A declaration in another form would be taken for nothing.
func TestEveryDeclarationOfSharedMemoryInTheKernelsIsCounted(t *testing.T) {
	for name, text := range compiledTexts(t) {
		for line := range strings.Lines(text) {
			if !slices.Contains(strings.Fields(line), ".shared") {
				continue
			}
			dynamic := strings.HasPrefix(line, ".extern .shared ") && strings.Contains(line, "[];")
			require.Truef(t, dynamic || staticArray.MatchString(line), "%s: %s", name, line)
		}
	}
}

func TestLimitsAreSaidInWords(t *testing.T) {
	require.Equal(t, "compute capability 8.9, 99 KiB of shared memory a block", Limits{"8.9", 101376}.String())
	require.Equal(t, "compute capability unknown, an unknown size of shared memory a block", Limits{}.String())
}
