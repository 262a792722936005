package xla

import (
	"fmt"
	"sync"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
)

// The scan on CUDA: kernels/scan_*.cu. A row's time may be cut into segments that run in parallel; a carry kernel then
// goes first, and tells each segment what the ones before it leave behind.

// scanSizes are the sizes of one scan.
type scanSizes struct {
	dtype                      string
	batch, time, inner, states int
	// padded is the number of states that the kernel has room for.
	padded   int
	segments int
}

const (
	largestScanState = 256
	// multiprocessors of the GPUs that segments are chosen for: H100 and H200.
	multiprocessors = 132
	// forwardBlocks and backwardBlocks are the blocks that a multiprocessor holds at once.
	forwardBlocks, backwardBlocks = 4, 3
	// tilesOfASegment is the least: every segment's end is computed twice.
	tilesOfASegment = 4
)

// scanSizesOf reads the sizes off the first inputs of a scan (see ScanInputs), or tells why no kernel serves.
func scanSizesOf(in []shapes.Shape) (s scanSizes, reason string) {
	u, a := in[0], in[3]
	dtype, reason := kernelDType(u.DType)
	if reason != "" {
		return s, reason
	}
	for _, shape := range []shapes.Shape{in[1], in[2], in[4], in[5]} {
		if shape.DType != u.DType {
			return s, fmt.Sprintf("its kernel takes inputs of one dtype, not %s and %s", u.DType, shape.DType)
		}
	}
	s = scanSizes{dtype: dtype, batch: u.Dim(0), time: u.Dim(1), inner: u.Dim(2), states: a.Dim(0), segments: 1}
	if s.states > largestScanState {
		return s, fmt.Sprintf("its kernel takes at most %d states a channel, not %d", largestScanState, s.states)
	}
	for s.padded = 16; s.padded < s.states; s.padded *= 2 {
	}
	return s, ""
}

func (s scanSizes) module(kernel string) module {
	return openModule(fmt.Sprintf("%s_%s_n%d", kernel, s.dtype, s.padded))
}

func (s scanSizes) entry(kernel string) string {
	return fmt.Sprintf("%s_%s_n%d", kernel, s.dtype, s.padded)
}

func (s scanSizes) tiles() int { return ceilDiv(s.time, ScanChunk) }

// segmented cuts time into segments if rows and channels alone leave half of the places for blocks empty: as many as there
// are places for, or for twice as many blocks if that is few. A wave that is not full costs as much as one that is.
func (s scanSizes) segmented(channels, residentBlocks int) scanSizes {
	blocks, places := ceilDiv(s.inner, channels)*s.batch, multiprocessors*residentBlocks
	if 2*blocks > places {
		return s
	}
	wanted := places / blocks
	if wanted < 4 {
		wanted = 2 * places / blocks
	}
	wanted = min(wanted, ceilDiv(s.tiles(), tilesOfASegment))
	s.segments = ceilDiv(s.tiles(), s.segmentTiles(wanted))
	return s
}

// ScanInSegments tells whether the gradient of a scan of these sizes, in bfloat16, is taken in segments on CUDA.
func ScanInSegments(batch, time, inner, states int) bool {
	shape := func(dims ...int) shapes.Shape { return shapes.Make(dtypes.BFloat16, dims...) }
	u, mix := shape(batch, time, inner), shape(batch, time, states)
	s, reason := scanSizesOf([]shapes.Shape{u, u, u, shape(states, inner), mix, mix})
	return reason == "" && s.segmented(backwardChannels(s.entry("scan_backward")), backwardBlocks).segments > 1
}

// launchChannels remembers what kernels say of themselves: a prediction asks for each layer, at each batch that it tries.
var launchChannels sync.Map

func backwardChannels(kernel string) int {
	known, ok := launchChannels.Load(kernel)
	if !ok {
		known, _ = launchChannels.LoadOrStore(kernel, openModule(kernel).constant("kLaunchChannels"))
	}
	return known.(int)
}

func (s scanSizes) segmentTiles(segments int) int { return ceilDiv(s.tiles(), segments) }

// values are the sizes in the words of the sources. z, B and C could be parts of wider rows; here they are whole.
func (s scanSizes) values(parts int) sizes {
	return sizes{
		"kBatch": s.batch, "kTime": s.time, "kInner": s.inner, "kStates": s.states,
		"kRowZ": s.inner, "kOffsetZ": 0, "kRowB": s.states, "kOffsetB": 0, "kRowC": s.states, "kOffsetC": 0,
		"kSegments": s.segments, "kSegmentTiles": s.segmentTiles(s.segments), "kParts": parts,
	}
}

// launch prepares a kernel whose grid is channels × rows × segments.
func (s scanSizes) launch(m module, entry string, operands []int, results ...shapes.Shape) Launch {
	channels := m.constant("kLaunchChannels")
	return Launch{
		PTX: m.entry(entry, s.values(0)), Entry: entry,
		Grid: [3]int{ceilDiv(s.inner, channels), s.batch, s.segments}, Block: [3]int{m.constant("kLaunchThreads"), 1, 1},
		Shared: m.constant("kLaunchShared"), Operands: operands, Results: results,
	}
}

func float32s(dims ...int) shapes.Shape { return shapes.Make(dtypes.Float32, dims...) }

// carry is what each segment leaves behind and how much Δ it takes.
func (s scanSizes) carry() []shapes.Shape {
	return []shapes.Shape{float32s(s.segments, s.batch, s.states, s.inner), float32s(s.segments, s.batch, s.inner)}
}

// scanForwardKernel plans Operation scanForward.
func scanForwardKernel(in []shapes.Shape) (*Plan, string) {
	s, reason := scanSizesOf(in)
	if reason != "" {
		return nil, reason
	}
	forward := s.module("scan_forward")
	s = s.segmented(forward.constant("kLaunchChannels"), forwardBlocks)
	plan := &Plan{}
	next, carry, elapsed := len(in), 8, 7 // with one segment any buffers do for the last two
	if s.segments > 1 {
		operands := []int{0, 1, 3, 4, 7, 9}
		plan.Launches = append(plan.Launches, s.launch(s.module("scan_carry"), s.entry("scan_carry_forward"), operands, s.carry()...))
		carry, elapsed, next = next, next+1, next+2
	}
	operands := []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, carry, elapsed}
	state, starts := in[8], float32s(s.batch, s.tiles(), s.states, s.inner)
	plan.Launches = append(plan.Launches, s.launch(forward, s.entry("scan_forward"), operands, in[0], state, starts))
	plan.Outputs = []int{next, next + 1, next + 2}
	return plan, ""
}

// scanBackwardKernel plans Operation scanBackward.
func scanBackwardKernel(in []shapes.Shape) (*Plan, string) {
	s, reason := scanSizesOf(in)
	if reason != "" {
		return nil, reason
	}
	backward := s.module("scan_backward")
	channels := backward.constant("kLaunchChannels")
	s = s.segmented(channels, backwardBlocks)
	plan := &Plan{}
	const starts, mark, dOut, dLast = 8, 9, 10, 11
	next, carry, elapsed := len(in), dLast, 7
	if s.segments > 1 {
		operands := []int{dOut, 1, 2, 3, 5, 7, mark}
		plan.Launches = append(plan.Launches, s.launch(s.module("scan_carry"), s.entry("scan_carry_backward"), operands, s.carry()...))
		carry, elapsed, next = next, next+1, next+2
	}
	parts := ceilDiv(s.inner, channels)
	partBC, partA, partD := float32s(parts, s.batch, s.time, 2, s.states), s.carry()[0], float32s(s.segments, s.batch, 2, s.inner)
	operands := []int{0, 1, 2, 3, 4, 5, 6, 7, starts, mark, dOut, dLast, carry, elapsed}
	state := float32s(s.batch, s.states, s.inner)
	plan.Launches = append(plan.Launches,
		s.launch(backward, s.entry("scan_backward"), operands, in[0], in[1], in[2], state, partBC, partA, partD))
	du, dDelta, dz, dStart, sums := next, next+1, next+2, next+3, next+4

	sum := openModule("scan_sum_" + s.dtype)
	const threads = 256
	plan.Launches = append(plan.Launches, Launch{
		PTX: sum.entry("scan_sum_"+s.dtype, s.values(parts)), Entry: "scan_sum_" + s.dtype,
		Grid:  [3]int{ceilDiv(s.batch*s.time*s.states, threads) + ceilDiv((s.states+2)*s.inner, threads), 1, 1},
		Block: [3]int{threads, 1, 1}, Operands: []int{sums, sums + 1, sums + 2},
		Results: []shapes.Shape{in[4], in[5], in[3], in[6], in[7]},
	})
	dB := sums + 3
	dC, dA, dD, dBias := dB+1, dB+2, dB+3, dB+4
	plan.Outputs = []int{du, dDelta, dz, dA, dB, dC, dD, dBias, dStart}
	return plan, ""
}
