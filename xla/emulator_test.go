// The kernels on the CPU: each launch that the plans make is run by an emulation of CUDA (kernels/emulator), and what comes
// out is compared with the operation's definition. So a mistake in a kernel shows on any machine with g++ and without a GPU.
// kernels/emulator/emulator.h tells what this proves and what it cannot; the self-test (workbench doctor, on a GPU) stays.
//
// The sizes of a launch are read back from its PTX text, so the plans are tested along with the kernels. Only the texts'
// instructions are not: those are as good as nvcc.
package xla

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/dtypes/float16"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/stretchr/testify/require"
)

func TestEveryKernelAgreesWithItsDefinitionOnTheCPU(t *testing.T) {
	programs := newEmulators(t)
	cases, plans, texts := emulatedOperations(), map[string]*Plan{}, textsByEntry(t)
	unused := maps.Clone(texts)
	for name, c := range cases {
		plan, reason := c.operation.Kernel(c.inputs)
		require.Empty(t, reason, name)
		plans[name] = plan
		for _, launch := range plan.Launches {
			require.Contains(t, texts, launch.Entry)
			delete(unused, launch.Entry)
		}
	}
	require.Empty(t, unused, "entries that no case runs")
	device, err := Open("go")
	require.NoError(t, err)
	t.Cleanup(device.Finalize)
	var definitions sync.Mutex // the Go backend has threads of its own
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			definitions.Lock()
			inputs, want, err := defined(device, c)
			definitions.Unlock()
			require.NoError(t, err)
			plan := plans[name]
			values, err := programs.execute(t.Context(), texts, plan, inputs)
			require.NoError(t, err)
			for i, shape := range plan.outputShapes(c.inputs) {
				got := floats(shape.DType, values[plan.Outputs[i]])
				withoutMeaning(c.operation.Name, i, shape, got, want[i])
				require.LessOrEqual(t, relativeDifference(got, want[i]), largestErrors[c.inputs[0].DType], "output %d", i)
			}
		})
	}
}

// execute runs a plan's launches in order, and returns all values by their indices.
func (e *emulators) execute(ctx context.Context, texts map[string]string, plan *Plan, inputs [][]byte) ([][]byte, error) {
	values := slices.Clone(inputs)
	for _, launch := range plan.Launches {
		operands := make([][]byte, len(launch.Operands))
		for i, operand := range launch.Operands {
			operands[i] = values[operand]
		}
		results, err := e.launch(ctx, texts[launch.Entry], launch, operands)
		if err != nil {
			return nil, err
		}
		values = append(values, results...)
	}
	return values, nil
}

// textsByEntry tells in which text each entry is.
func textsByEntry(t *testing.T) map[string]string {
	folder := os.Getenv(PTXVariable)
	if folder == "" {
		folder = filepath.Join("kernels", "ptx")
	}
	files, err := filepath.Glob(filepath.Join(folder, "*.ptx"))
	require.NoError(t, err)
	texts := map[string]string{}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".ptx")
		for _, part := range strings.Split(openModule(name).text, "\n.visible .entry ")[1:] {
			entry, _, _ := strings.Cut(part, "(")
			texts[entry] = name
		}
	}
	return texts
}

// defined draws and prepares inputs, and computes the operation's definition on them in float32.
func defined(device *Device, c planned) (inputs [][]byte, outputs [][]float32, err error) {
	declared, arguments := make([]Input, len(c.inputs)), make([]*tensors.Tensor, len(c.inputs))
	random := rand.New(rand.NewPCG(3, 5))
	for i, shape := range c.inputs {
		arguments[i] = randomTensor(random, shape)
		declared[i] = Input{Name: fmt.Sprintf("input%d", i), Shape: arguments[i].Shape()}
	}
	program, err := Compile(device, "definition of "+c.operation.Name, declared, func(_ *graph.Graph, nodes []*graph.Node) []*graph.Node {
		for i := range nodes {
			nodes[i] = graph.ConvertDType(nodes[i], c.inputs[i].DType)
		}
		if prepare := preparations[c.operation.Name]; prepare != nil {
			prepare(nodes)
		}
		full := slices.Clone(nodes)
		for i, node := range nodes {
			if node.DType() != dtypes.Int32 {
				full[i] = graph.ConvertDType(node, dtypes.Float32)
			}
		}
		return append(nodes, c.operation.Definition(full)...)
	})
	if err != nil {
		return nil, nil, err
	}
	defer program.Close()
	results, err := program.Run(arguments...)
	if err != nil {
		return nil, nil, err
	}
	for _, input := range results[:len(c.inputs)] {
		if err := input.ConstBytes(func(data []byte) { inputs = append(inputs, slices.Clone(data)) }); err != nil {
			return nil, nil, err
		}
	}
	for _, output := range results[len(c.inputs):] {
		outputs = append(outputs, tensors.MustCopyFlatData[float32](output))
	}
	return inputs, outputs, nil
}

// floats widens numbers as they lie in memory.
func floats(dtype dtypes.DType, data []byte) []float32 {
	values := make([]float32, len(data)/dtype.Size())
	for i := range values {
		switch dtype {
		case dtypes.BFloat16:
			values[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(data[2*i:])) << 16)
		case dtypes.Float16:
			values[i] = float16.Float16(binary.LittleEndian.Uint16(data[2*i:])).Float32()
		default:
			values[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
		}
	}
	return values
}

// withoutMeaning makes equal what means nothing: the first output of rows without a token.
func withoutMeaning(operation string, output int, shape shapes.Shape, got, want []float32) {
	if output != 0 || !slices.Contains([]string{"conv_products", "conv_step", "scan_step"}, operation) {
		return
	}
	width := shape.Size() / shape.Dim(0)
	for row := range shape.Dim(0) {
		if hasNoToken(row) {
			copy(got[row*width:(row+1)*width], want[row*width:(row+1)*width])
		}
	}
}
