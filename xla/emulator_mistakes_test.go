package xla

import (
	"encoding/binary"
	"math"
	"slices"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/stretchr/testify/require"
)

// The kernels are those of kernels/emulator/mistakes.cu, each with a word of what is said of it.
func TestTheEmulationFindsMistakes(t *testing.T) {
	programs := newEmulators(t)
	const count = 64
	run := func(entry, constants string) ([]float32, error) {
		numbers := make([]byte, 4*count)
		for i := range count {
			binary.LittleEndian.PutUint32(numbers[4*i:], math.Float32bits(float32(i)))
		}
		launch := Launch{PTX: constants, Entry: entry, Grid: [3]int{1, 1, 1}, Block: [3]int{count, 1, 1}, Shared: 4 * count,
			Operands: []int{0}, Results: []shapes.Shape{float32s(count)}}
		results, err := programs.launch(t.Context(), "mistakes", launch, [][]byte{numbers})
		if err != nil {
			return nil, err
		}
		return floats(dtypes.Float32, results[0]), nil
	}
	right, err := run("none", ".const .align 4 .u32 kOwn = 3;\n")
	require.NoError(t, err)
	for i, got := range right {
		require.EqualValues(t, 63-(i^32^31), got)
	}
	for entry, want := range map[string]string{
		"missing_barrier":                    "a race: buffer 0 depends on the order of threads",
		"missing_second_barrier":             "a race: buffer 0 depends on the order of threads",
		"half_of_the_block_waits":            "deadlock: thread 0,0,0 waits for its block at mistakes.cu:34 while thread 32,0,0 has ended in half_of_the_block_waits",
		"block_waits_at_two_places":          "deadlock: thread 0,0,0 waits for its block at mistakes.cu:40 while thread 32,0,0 waits for its block at mistakes.cu:42",
		"a_lane_leaves_its_warp":             "deadlock: thread 0,0,0 waits for its warp at mistakes.cu:49 while thread 5,0,0 has ended",
		"part_of_a_warp_shuffles":            "a shuffle of a part of a warp is not emulated",
		"reads_past_an_operand":              "heap-buffer-overflow",
		"writes_before_a_result":             "heap-buffer-overflow",
		"writes_an_operand":                  "buffer 1 was written, which is an operand alone",
		"writes_past_a_shared_array":         "heap-buffer-overflow",
		"writes_past_dynamic_shared_memory":  "use-after-poison",
		"reads_past_an_array_of_its_own":     "index 2 out of bounds",
		"reads_a_vector_that_is_not_aligned": "misaligned address",
		"no_such_entry":                      "no such entry",
	} {
		_, err := run(entry, "")
		require.ErrorContains(t, err, want, entry)
	}
	_, err = run("none", ".const .align 4 .u32 kOwn = 4;\n")
	require.ErrorContains(t, err, "kOwn is 3 here and 4 in the PTX text")
	_, err = run("none", ".const .align 4 .u32 kOther = 4;\n")
	require.ErrorContains(t, err, "the source has no constant kOther")
	for _, entry := range []string{"leaves_a_result_unwritten", "reads_shared_memory_before_it_is_written"} {
		got, err := run(entry, "")
		require.NoError(t, err)
		require.Equal(t, []int{9}, slices.DeleteFunc([]int{8, 9, 10}, func(i int) bool { return got[i] == got[i] }), entry)
	}
}
