package xla

import (
	"fmt"

	"github.com/gomlx/compute/shapes"
)

// Products of a few rows on CUDA: kernels/matvec.cu.

const (
	// mostProductRows is the rows that share one reading of the weights; beyond, matrix products are faster.
	mostProductRows = 8
	// mostProductShared is the shared memory for x, so that the sums still find room beside it.
	mostProductShared = 160 << 10
)

// matvecSizes are the sizes of one launch.
type matvecSizes struct {
	dtype              string
	rows, depth        int
	rowsOfEntry, lanes int
	columns            [3]int
	size               int // bytes of a number
}

func matvecSizesOf(x shapes.Shape, weights []shapes.Shape) (m matvecSizes, reason string) {
	if m.dtype, reason = kernelDType(x.DType); reason != "" {
		return m, reason
	}
	m.depth, m.size, m.rowsOfEntry = x.Dim(-1), x.DType.Size(), 1
	m.rows = x.Size() / m.depth
	for m.rowsOfEntry < m.rows {
		m.rowsOfEntry *= 2
	}
	if m.rowsOfEntry > mostProductRows {
		return m, fmt.Sprintf("its kernel takes at most %d rows, not %d", mostProductRows, m.rows)
	}
	if m.depth*m.size%vectorBytes != 0 {
		return m, fmt.Sprintf("its kernel takes rows of a multiple of %d bytes, not %d numbers", vectorBytes, m.depth)
	}
	if m.shared() > mostProductShared {
		return m, fmt.Sprintf("its kernel has no room for %d rows of %d numbers", m.rows, m.depth)
	}
	for i, weight := range weights {
		if weight.DType != x.DType {
			return m, fmt.Sprintf("its kernel takes inputs of one dtype, not %s and %s", x.DType, weight.DType)
		}
		m.columns[i] = weight.Dim(1)
	}
	return m, m.chooseLanes()
}

// chooseLanes takes the narrowest blocks that all run at once, for they share the work best; or the widest there are.
func (m *matvecSizes) chooseLanes() (reason string) {
	resident := multiprocessors
	if m.rowsOfEntry <= 2 {
		resident = 2 * multiprocessors // as kBlocks in the source
	}
	for _, lanes := range []int{2, 4, 8} {
		fits := true
		for _, columns := range m.columns {
			fits = fits && columns*m.size%(lanes*vectorBytes) == 0
		}
		if !fits {
			break
		}
		m.lanes = lanes
		if m.blocks() <= resident {
			break
		}
	}
	if m.lanes == 0 {
		return fmt.Sprintf("its kernel takes weights whose rows are multiples of %d bytes, not %v numbers", 2*vectorBytes, m.columns)
	}
	return ""
}

func (m matvecSizes) blocks() int {
	return (m.columns[0] + m.columns[1] + m.columns[2]) * m.size / (m.lanes * vectorBytes)
}

func (m matvecSizes) shared() int { return m.depth * m.rowsOfEntry * m.size }

func (m matvecSizes) launch(kind string, values sizes, operands []int, results []shapes.Shape) Launch {
	text := openModule("matvec_" + m.dtype)
	entry := fmt.Sprintf("%s_%s_r%d_l%d", kind, m.dtype, m.rowsOfEntry, m.lanes)
	values["kRows"], values["kDepth"] = m.rows, m.depth
	values["kColumns0"], values["kColumns1"], values["kColumns2"] = m.columns[0], m.columns[1], m.columns[2]
	return Launch{
		PTX: text.entry(entry, values), Entry: entry, Grid: [3]int{m.blocks(), 1, 1}, Block: [3]int{text.constant("kLaunchThreads"), 1, 1},
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
			results[i] = shapes.Make(in[0].DType, withLastDim(in[0], weight.Dim(1))...)
			plan.Outputs = append(plan.Outputs, len(in)+i)
		}
		plan.Launches = []Launch{m.launch("matvec", sizes{
			"kNorm": bit(o.epsilon > 0), "kEpsilonBits": floatBits(o.epsilon), "kActivation": bit(o.relu), "kResidual": bit(o.residual),
		}, operands, results)}
		return plan, ""
	}
}

func logitsKernel(epsilon, softcap float64) func([]shapes.Shape) (*Plan, string) {
	return func(in []shapes.Shape) (*Plan, string) {
		m, reason := matvecSizesOf(in[0], in[1:])
		if reason != "" {
			return nil, reason
		}
		values := sizes{"kNorm": 1, "kEpsilonBits": floatBits(epsilon), "kCapBits": floatBits(softcap)}
		return single(m.launch("logits", values, []int{0, 1}, []shapes.Shape{float32s(withLastDim(in[0], in[1].Dim(1))...)}), "", 2)
	}
}

// withLastDim is a shape's dimensions with another size of the last axis.
func withLastDim(x shapes.Shape, size int) []int {
	dims := append([]int{}, x.Dimensions...)
	dims[len(dims)-1] = size
	return dims
}
