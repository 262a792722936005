package xla

import (
	"fmt"
	"strings"

	"github.com/gomlx/compute/shapes"
)

// Launch starts one CUDA kernel. Its arguments are buffers alone: the operands, then the results. Sizes stand in its text.
type Launch struct {
	// PTX is the kernel's text with its sizes filled in, Entry the function in it.
	PTX   string
	Entry string
	// Grid is the blocks along x, y and z; Block the threads of one likewise; Shared its dynamic shared memory in bytes.
	Grid   [3]int
	Block  [3]int
	Shared int
	// Operands are indices of values: the operation's inputs come first, then the results of each launch in order.
	Operands []int
	// Results are the shapes of what the kernel writes, scratch memory included.
	Results []shapes.Shape
	// Aliases tells of results that the kernel writes in place of an operand: the operand's number by the result's. The
	// kernel is given one buffer for both. Where the operand is still needed XLA copies it first.
	Aliases map[int]int
}

// Plan is how an operation runs on CUDA: its launches, and which values are the operation's outputs.
type Plan struct {
	Launches []Launch
	Outputs  []int
}

// outputShapes are the shapes of the plan's outputs, given those of the operation's inputs.
func (p *Plan) outputShapes(inputs []shapes.Shape) []shapes.Shape {
	values := append([]shapes.Shape{}, inputs...)
	for _, launch := range p.Launches {
		values = append(values, launch.Results...)
	}
	outputs := make([]shapes.Shape, len(p.Outputs))
	for i, index := range p.Outputs {
		outputs[i] = values[index]
	}
	return outputs
}

// ptxTarget is the custom-call target inside XLA's CUDA plugin that compiles and launches PTX text.
const ptxTarget = "__gpu$xla.gpu.ptx"

// backendConfig writes a launch as the attribute dictionary that ptxTarget reads.
func (l Launch) backendConfig() string {
	outputs := make([]string, len(l.Results))
	for i := range outputs {
		outputs[i] = fmt.Sprintf("%d : i32", len(l.Operands)+i)
	}
	return fmt.Sprintf(`{name = "%s", kernel_type = "ptx", kernel_data = "%s", grid_x = %d : i32, grid_y = %d : i32, grid_z = %d : i32, `+
		`block_x = %d : i32, block_y = %d : i32, block_z = %d : i32, shared_mem_bytes = %d : i32, output_indices = [%s]}`,
		l.Entry, mlirEscape.Replace(l.PTX), l.Grid[0], l.Grid[1], l.Grid[2], l.Block[0], l.Block[1], l.Block[2], l.Shared, strings.Join(outputs, ", "))
}

// mlirEscape makes text the inside of an MLIR string literal.
var mlirEscape = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\t", `\t`)
