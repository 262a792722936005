package xla

import (
	"fmt"

	"github.com/gomlx/compute/shapes"
)

// Products of a few rows on CUDA: kernels/matvec.cu.

const (
	// mostProductRows is the rows that share one reading of the weights; beyond, matrix products are faster.
	mostProductRows = 8
	// mostProductShared is the shared memory for x of the blocks that a multiprocessor holds at once.
	mostProductShared = 224 << 10
)

// matvecSizes are the sizes of one launch.
type matvecSizes struct {
	dtype       string
	size        int // bytes of a number
	rows, depth int
	rowsOfEntry int
	columns     [3]int
}

// matvecSizesOf reads the sizes off x [B,1,K] and the weights [N_i,K], or tells why no kernel serves.
func matvecSizesOf(x shapes.Shape, weights []shapes.Shape) (m matvecSizes, reason string) {
	if m.dtype, reason = stepDType(x, weights...); reason != "" {
		return m, reason
	}
	m.depth, m.size = x.Dim(-1), x.DType.Size()
	m.rows = x.Size() / m.depth
	for _, m.rowsOfEntry = range []int{1, 4, mostProductRows} {
		if m.rows <= m.rowsOfEntry {
			break
		}
	}
	for i, weight := range weights {
		m.columns[i] = weight.Dim(0)
	}
	switch {
	case m.rows > mostProductRows:
		return m, fmt.Sprintf("its kernel takes at most %d rows, not %d", mostProductRows, m.rows)
	case m.depth*m.size%vectorBytes != 0:
		return m, fmt.Sprintf("its kernel takes rows of a multiple of %d bytes, not %d numbers", vectorBytes, m.depth)
	case m.shared() > mostProductShared:
		return m, fmt.Sprintf("its kernel has no room for %d rows of %d numbers", m.rows, m.depth)
	}
	return m, ""
}

// stepDType names the dtype of a decoding kernel's entry if x and all others have it.
func stepDType(x shapes.Shape, others ...shapes.Shape) (name, reason string) {
	if name, reason = kernelDType(x.DType); name == "f16" {
		return "", "its kernel takes bfloat16 and float32, not Float16"
	}
	for _, shape := range others {
		if shape.DType != x.DType {
			return "", fmt.Sprintf("its kernel takes inputs of one dtype, not %s and %s", x.DType, shape.DType)
		}
	}
	return name, reason
}

func (m matvecSizes) shared() int { return m.depth * m.rowsOfEntry * m.size }

// blocks chooses the columns of a warp, the fewest with which all blocks run at once, and the number of blocks.
func (m matvecSizes) blocks(warps int) (columns, blocks int) {
	resident := 2
	if m.rowsOfEntry == 1 {
		resident = 3 // as kBlocks in the source
	}
	resident = multiprocessors * max(1, min(resident, mostProductShared/m.shared()))
	for _, columns = range []int{1, 2} {
		groups := 0
		for _, count := range m.columns {
			groups += ceilDiv(count, columns)
		}
		if blocks = ceilDiv(groups, warps); blocks <= resident {
			return columns, blocks
		}
	}
	return columns, resident
}

func (m matvecSizes) launch(kind string, values sizes, operands []int, results ...shapes.Shape) Launch {
	text := openModule("matvec_" + m.dtype)
	threads := text.constant("kLaunchThreads")
	columns, blocks := m.blocks(threads / 32)
	entry := fmt.Sprintf("%s_%s_r%d_c%d", kind, m.dtype, m.rowsOfEntry, columns)
	values["kRows"], values["kDepth"] = m.rows, m.depth
	values["kColumns0"], values["kColumns1"], values["kColumns2"] = m.columns[0], m.columns[1], m.columns[2]
	return Launch{
		PTX: text.entry(entry, values), Entry: entry, Grid: [3]int{blocks, 1, 1}, Block: [3]int{threads, 1, 1},
		Shared: m.shared(), Operands: operands, Results: results,
	}
}

// bit is 1 for true.
func bit(set bool) int {
	if set {
		return 1
	}
	return 0
}

func matvecKernel(o matvecOptions) func([]shapes.Shape) (*Plan, string) {
	return func(in []shapes.Shape) (*Plan, string) {
		first := 1 + bit(o.residual)
		m, reason := matvecSizesOf(in[0], in[first:])
		if reason != "" {
			return nil, reason
		}
		// The entry has room for three weights and results; those that are not there are any buffer and one number.
		operands, plan := []int{0, first - 1, first, first, first}, &Plan{}
		results := []shapes.Shape{shapes.Make(in[0].DType, 1), shapes.Make(in[0].DType, 1), shapes.Make(in[0].DType, 1)}
		for i, weight := range in[first:] {
			operands[2+i] = first + i
			results[i] = shapes.Make(in[0].DType, withLastDim(in[0], weight.Dim(0))...)
			plan.Outputs = append(plan.Outputs, len(in)+i)
		}
		plan.Launches = []Launch{m.launch("matvec", sizes{
			"kNorm": bit(o.epsilon > 0), "kEpsilonBits": floatBits(o.epsilon), "kActivation": bit(o.relu), "kResidual": bit(o.residual),
		}, operands, results...)}
		return plan, ""
	}
}

func wideKernel(epsilon, softcap float64) func([]shapes.Shape) (*Plan, string) {
	return func(in []shapes.Shape) (*Plan, string) {
		m, reason := matvecSizesOf(in[0], in[1:])
		if m.rows > mostProductRows && epsilon == 0 && softcap == 0 {
			return projectKernel(in)
		}
		if reason != "" {
			return nil, reason
		}
		values := sizes{"kNorm": bit(epsilon > 0), "kEpsilonBits": floatBits(epsilon), "kCapBits": floatBits(softcap)}
		return single(m.launch("wide", values, []int{0, 1}, float32s(withLastDim(in[0], in[1].Dim(0))...)), "", 2)
	}
}

// withLastDim is a shape's dimensions with another size of the last axis.
func withLastDim(x shapes.Shape, size int) []int {
	dims := append([]int{}, x.Dimensions...)
	dims[len(dims)-1] = size
	return dims
}
