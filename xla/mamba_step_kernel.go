package xla

import (
	"cmp"
	"fmt"
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
)

// The Mamba step on CUDA: the entries conv of kernels/matvec.cu, kernels/mamba_in.cu, mamba_conv.cu and mamba_step.cu.

const (
	mostTaps = 8
	// mostTileRows is the rows that share one reading of the weights on the tensor cores; beyond, matrix products are faster.
	mostTileRows = 64
	// manyRows is from where the scan's blocks take rowsOfBlock rows each, for each block reads weights anew. Their threads
	// hold all states of a channel, which are mostStatesOfRows at most.
	manyRows, rowsOfBlock, mostStatesOfRows = 16, 8, 16
	// mambaChannels is the channels of a block of the scan.
	mambaChannels = 32
)

func refusedTaps(taps int) string {
	if taps > mostTaps {
		return fmt.Sprintf("its kernel takes 2 to %d taps, not %d", mostTaps, taps)
	}
	return ""
}

func convProductsKernel(epsilon float64) func([]shapes.Shape) (*Plan, string) {
	return func(in []shapes.Shape) (*Plan, string) {
		x, window, taps := in[0], in[5], in[3].Dim(0)
		if x.Size()/x.Dim(-1) > mostProductRows {
			return manyRowsKernel(epsilon, in)
		}
		m, reason := matvecSizesOf(x, in[1:3])
		if reason == "" {
			_, reason = stepDType(x, window)
		}
		if reason == "" {
			reason = refusedTaps(taps)
		}
		if reason != "" {
			return nil, reason
		}
		u, z := shapes.Make(x.DType, withLastDim(x, in[1].Dim(0))...), shapes.Make(x.DType, withLastDim(x, in[2].Dim(0))...)
		launch := m.launch("conv", sizes{"kNorm": bit(epsilon > 0), "kEpsilonBits": floatBits(epsilon), "kTaps": taps}, []int{0, 1, 2, 3, 4, 5, 6}, window, u, z)
		launch.Aliases = map[int]int{0: 5}
		next := len(in)
		return &Plan{Launches: []Launch{launch}, Outputs: []int{next + 1, next + 2, next}}, ""
	}
}

// convProductsTake tells whether there is a kernel for convProducts of x [B,1,K] with weights to inner numbers.
func convProductsTake(x shapes.Shape, inner int) bool {
	rows := x.Size() / x.Dim(-1)
	return rows <= mostProductRows || refusedManyRows(x, inner) == ""
}

func refusedManyRows(x shapes.Shape, inner int) string {
	const step = 32
	switch rows, depth := x.Size()/x.Dim(-1), x.Dim(-1); {
	case x.DType != dtypes.BFloat16 || depth%step != 0 || inner%2 != 0:
		return fmt.Sprintf("its kernel takes more than %d rows in bfloat16 alone, with a multiple of %d numbers, for an even number of channels; not %s %d for %d",
			mostProductRows, step, x.DType, depth, inner)
	case rows > mostTileRows:
		return fmt.Sprintf("its kernel takes at most %d rows, not %d", mostTileRows, rows)
	case inner*depth > math.MaxInt32:
		return fmt.Sprintf("its kernel takes a weight of less than 2^31 numbers, not %d × %d", inner, depth)
	}
	return ""
}

// manyRowsKernel plans convProducts for more rows than kernels/matvec.cu takes: kernels/mamba_in.cu.
func manyRowsKernel(epsilon float64, in []shapes.Shape) (*Plan, string) {
	x, weight, window, taps := in[0], in[1], in[5], in[3].Dim(0)
	rows, depth, inner := x.Size()/x.Dim(-1), x.Dim(-1), weight.Dim(0)
	_, reason := stepDType(x, weight, in[2], window)
	if reason = cmp.Or(reason, refusedManyRows(x, inner), refusedTaps(taps)); reason != "" {
		return nil, reason
	}
	text, tiles := openModule("mamba_in_bf16"), 2
	if rows > 32 {
		tiles = 4
	}
	entry, next := fmt.Sprintf("mamba_in_r%d", tiles), len(in)
	u := shapes.Make(x.DType, withLastDim(x, inner)...)
	return &Plan{
		Launches: []Launch{{
			PTX: text.entry(entry, sizes{
				"kBatch": rows, "kDepth": depth, "kInner": inner, "kTaps": taps, "kNorm": bit(epsilon > 0), "kEpsilonBits": floatBits(epsilon),
			}), Entry: entry,
			Grid:  [3]int{2 * ceilDiv(inner, text.constant("kLaunchColumns")), ceilDiv(rows, 16*tiles), 1},
			Block: [3]int{text.constant("kLaunchThreads"), 1, 1}, Shared: text.constant(fmt.Sprintf("kLaunchShared%d", tiles)),
			Operands: []int{0, 1, 2, 3, 4, 5, 6}, Results: []shapes.Shape{window, u, u}, Aliases: map[int]int{0: 5},
		}},
		Outputs: []int{next + 1, next + 2, next},
	}, ""
}

func convStepKernel(in []shapes.Shape) (*Plan, string) {
	x, window, taps := in[0], in[3], in[1].Dim(0)
	dtype, reason := stepDType(x, window)
	if reason == "" {
		reason = refusedTaps(taps)
	}
	if reason != "" {
		return nil, reason
	}
	const access = 4 // bytes of a thread
	if x.Dim(2)*x.DType.Size()%access != 0 {
		return nil, fmt.Sprintf("its kernel takes rows of a multiple of %d bytes, not %d numbers", access, x.Dim(2))
	}
	text, entry := openModule("mamba_conv_"+dtype), "mamba_conv_"+dtype
	threads := text.constant("kLaunchThreads")
	next := len(in)
	return &Plan{
		Launches: []Launch{{
			PTX: text.entry(entry, sizes{"kInner": x.Dim(2), "kTaps": taps}), Entry: entry,
			Grid: [3]int{ceilDiv(x.Dim(2)*x.DType.Size()/access, threads), x.Dim(0), 1}, Block: [3]int{threads, 1, 1},
			Operands: []int{0, 1, 2, 3, 4}, Results: []shapes.Shape{window, x}, Aliases: map[int]int{0: 3},
		}},
		Outputs: []int{next + 1, next},
	}, ""
}

// projectKernel plans the product of many rows with few columns, in float32.
func projectKernel(in []shapes.Shape) (*Plan, string) {
	const tileRows, tileColumns, depthOfBlock = 16, 8, 256
	dtype, reason := stepDType(in[0], in[1])
	inner, columns := in[0].Dim(-1), in[1].Dim(0)
	rows := in[0].Size() / inner
	switch {
	case reason != "":
		return nil, reason
	case dtype != "bf16" || inner%depthOfBlock != 0 || columns%tileColumns != 0:
		return nil, fmt.Sprintf("its kernel takes more than %d rows in bfloat16 alone, with a multiple of %d numbers, for a multiple of %d columns; not %s %d for %d",
			mostProductRows, depthOfBlock, tileColumns, in[0].DType, inner, columns)
	}
	text, entry := openModule("mamba_conv_"+dtype), "mamba_project"
	return single(Launch{
		PTX: text.entry(entry, sizes{"kBatch": rows, "kInner": inner, "kColumns": columns}), Entry: entry,
		Grid: [3]int{columns / tileColumns, ceilDiv(rows, tileRows), 1}, Block: [3]int{text.constant("kLaunchThreads"), 1, 1},
		Shared: text.constant("kLaunchShared"), Operands: []int{0, 1}, Results: []shapes.Shape{float32s(withLastDim(in[0], columns)...)},
	}, "", 2)
}

func scanStepKernel(in []shapes.Shape) (*Plan, string) {
	u, projected, weight, state := in[0], in[2].Dim(2), in[3], in[7]
	dtype, reason := stepDType(u, in[1], weight)
	if reason != "" {
		return nil, reason
	}
	batch, inner, states, rank := u.Dim(0), u.Dim(2), state.Dim(1), weight.Dim(1)
	rankBytes := rank * u.DType.Size()
	switch {
	case states > largestScanState:
		return nil, fmt.Sprintf("its kernel takes at most %d states a channel, not %d", largestScanState, states)
	case rankBytes%vectorBytes != 0:
		return nil, fmt.Sprintf("its kernel takes a dt_rank of a multiple of %d bytes, not %d numbers", vectorBytes, rank)
	}
	text := openModule("mamba_step_" + dtype)
	launch := Launch{
		Grid: [3]int{ceilDiv(inner, mambaChannels), batch, 1}, Block: [3]int{text.constant("kLaunchThreads"), 1, 1}, Shared: 4 * projected,
		Operands: []int{0, 1, 2, 3, 4, 5, 6, 7, 8}, Results: []shapes.Shape{state, u}, Aliases: map[int]int{0: 7},
	}
	if batch >= manyRows && states <= mostStatesOfRows && states%4 == 0 {
		launch.Entry = "mamba_scan_rows_" + dtype
		launch.Grid[1], launch.Shared = ceilDiv(batch, rowsOfBlock), rowsOfBlock*4*projected+(mambaChannels+1)*rankBytes
	} else {
		padded := 16
		for padded < states {
			padded *= 4
		}
		launch.Entry = fmt.Sprintf("mamba_scan_%s_n%d", dtype, padded)
	}
	launch.PTX = text.entry(launch.Entry, sizes{"kBatch": batch, "kInner": inner, "kRank": rank, "kStates": states})
	next := len(in)
	return &Plan{Launches: []Launch{launch}, Outputs: []int{next + 1, next}}, ""
}
