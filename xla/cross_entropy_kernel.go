package xla

import (
	"fmt"

	"github.com/gomlx/compute/shapes"
)

// largestCap is the soft cap up to which the kernel's exponentials need no shift.
const largestCap = 64

// crossEntropyKernel plans Operation crossEntropy: kernels/cross_entropy.cu.
func crossEntropyKernel(softcap float64) func([]shapes.Shape) (*Plan, string) {
	return func(in []shapes.Shape) (*Plan, string) {
		logits := in[0]
		dtype, reason := kernelDType(logits.DType)
		switch {
		case reason != "":
			return nil, reason
		case softcap > largestCap:
			return nil, fmt.Sprintf("its kernel takes a softcap of at most %d, not %g", largestCap, softcap)
		}
		rows, vocab := logits.Dim(0), logits.Dim(1)
		kind := "any"
		if vocab%(vectorBytes/logits.DType.Size()) == 0 {
			kind = "wide"
		}
		entry := fmt.Sprintf("cross_entropy_%s_%s", dtype, kind)
		launch := Launch{
			PTX:   openModule("cross_entropy").entry(entry, sizes{"kRows": rows, "kVocabulary": vocab, "kCapBits": floatBits(softcap)}),
			Entry: entry, Grid: [3]int{rows, 1, 1}, Block: [3]int{512, 1, 1}, Operands: []int{0, 1, 2},
			Results: []shapes.Shape{float32s(rows), logits},
		}
		return single(launch, "", 3, 4)
	}
}
