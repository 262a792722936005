package xla

import (
	"fmt"

	"github.com/gomlx/compute/shapes"
)

// Norms on CUDA: kernels/norm.cu and kernels/rope.cu.

// vectorBytes is what a thread reads at once.
const vectorBytes = 16

// normLaunch chooses among the three kinds of norm kernels by the width of a row.
func normLaunch(direction string, x shapes.Shape, epsilon float64, operands []int, results []shapes.Shape) (Launch, string) {
	dtype, reason := kernelDType(x.DType)
	if reason != "" {
		return Launch{}, reason
	}
	width := x.Dim(-1)
	rows := x.Size() / width
	kind, threads, grid := "any", 256, rows
	if width%(vectorBytes/x.DType.Size()) == 0 {
		kind = "wide"
		if width <= 2048 {
			kind, threads, grid = "row", 128, ceilDiv(rows, 4)
		}
	}
	entry := fmt.Sprintf("norm_%s_%s_%s", direction, dtype, kind)
	text := openModule("norm").entry(entry, sizes{"kRows": rows, "kWidth": width, "kEpsilonBits": floatBits(epsilon)})
	return Launch{PTX: text, Entry: entry, Grid: [3]int{grid, 1, 1}, Block: [3]int{threads, 1, 1}, Operands: operands, Results: results}, ""
}

// single is a plan of one launch, unless there is a reason against it.
func single(launch Launch, reason string, outputs ...int) (*Plan, string) {
	if reason != "" {
		return nil, reason
	}
	return &Plan{Launches: []Launch{launch}, Outputs: outputs}, ""
}

// onePerRow is x's shape with a last axis of 1, float32.
func onePerRow(x shapes.Shape) shapes.Shape {
	dims := append([]int{}, x.Dimensions...)
	dims[len(dims)-1] = 1
	return float32s(dims...)
}

func rmsNormKernel(epsilon float64) func([]shapes.Shape) (*Plan, string) {
	return func(in []shapes.Shape) (*Plan, string) {
		launch, reason := normLaunch("forward", in[0], epsilon, []int{0}, []shapes.Shape{in[0], onePerRow(in[0])})
		return single(launch, reason, 1, 2, 0)
	}
}

func addRMSNormKernel(epsilon float64) func([]shapes.Shape) (*Plan, string) {
	return func(in []shapes.Shape) (*Plan, string) {
		launch, reason := normLaunch("add_forward", in[0], epsilon, []int{0, 1}, []shapes.Shape{in[0], in[0], onePerRow(in[0])})
		return single(launch, reason, 3, 4, 2)
	}
}

func rmsNormGradientKernel(in []shapes.Shape) (*Plan, string) {
	launch, reason := normLaunch("add_backward", in[0], 0, []int{2, 0, 1, 3}, in[:1])
	return single(launch, reason, 4)
}

// rotaryLaunch prepares a kernel on heads x [B,T,H,E] with tables [B or 1, T, 1, E/2].
func rotaryLaunch(direction string, x, table shapes.Shape, epsilon float64, operands []int, results []shapes.Shape) (Launch, string) {
	dtype, reason := kernelDType(x.DType)
	if reason != "" {
		return Launch{}, reason
	}
	tokens, heads, channels := x.Dim(0)*x.Dim(1), x.Dim(2), x.Dim(3)
	entry := fmt.Sprintf("rope_norm_%s_%s", direction, dtype)
	grid, vector := 0, vectorBytes/x.DType.Size()
	switch lanes := channels / 2 / vector; {
	case channels%(2*vector) == 0 && lanes <= 32 && lanes&(lanes-1) == 0:
		grid = ceilDiv(tokens*heads*lanes, 128)
	default:
		entry += "_any"
		grid = ceilDiv(tokens*heads, 4)
	}
	text := openModule("rope").entry(entry, sizes{
		"kTokens": tokens, "kHeads": heads, "kWidth": channels, "kStride": heads * channels, "kOffset": 0,
		"kPositions": table.Dim(0) * table.Dim(1), "kEpsilonBits": floatBits(epsilon),
	})
	return Launch{PTX: text, Entry: entry, Grid: [3]int{grid, 1, 1}, Block: [3]int{128, 1, 1}, Operands: operands, Results: results}, ""
}

func rotaryNormKernel(epsilon float64) func([]shapes.Shape) (*Plan, string) {
	return func(in []shapes.Shape) (*Plan, string) {
		launch, reason := rotaryLaunch("forward", in[0], in[1], epsilon, []int{0, 1, 2}, []shapes.Shape{in[0], onePerRow(in[0])})
		return single(launch, reason, 3, 4)
	}
}

func rotaryNormGradientKernel(in []shapes.Shape) (*Plan, string) {
	launch, reason := rotaryLaunch("backward", in[0], in[3], 0, []int{2, 0, 1, 3, 4}, in[:1])
	return single(launch, reason, 5)
}
