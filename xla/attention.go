package xla

import (
	"fmt"
	"math"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
)

// FusedAttention is causal softmax(q·k/√E)·v over whole rows by cuDNN, forward and backward, which never holds the
// scores: q [B,T,H,E], k and v [B,T,G,E] with G dividing H, all of one 16-bit dtype. It returns nil where cuDNN cannot
// serve, and the caller computes attention from products.
func FusedAttention(qBTHE, kBTGE, vBTGE *graph.Node) *graph.Node {
	const name = "attention"
	backend, ok := qBTHE.Graph().Backend().(*kernels)
	channels := qBTHE.Shape().Dim(-1)
	switch {
	case !ok || !backend.cuda:
		note(name, "")
		return nil
	case !KernelsEnabled():
		note(name, KernelsVariable+" is off")
		return nil
	case qBTHE.DType() != dtypes.BFloat16 && qBTHE.DType() != dtypes.Float16:
		note(name, fmt.Sprintf("cuDNN attends in 16-bit floats, not in %s", qBTHE.DType()))
		return nil
	case channels%8 != 0 || channels > 128:
		note(name, fmt.Sprintf("cuDNN wants head_dim to be a multiple of 8 and at most 128, not %d", channels))
		return nil
	}
	noteKernel(name)
	options := &compute.ScaledDotProductAttentionConfig{Causal: true, Scale: 1 / math.Sqrt(float64(channels))}
	out, _ := graph.BackendFusedScaledDotProductAttention(qBTHE, kBTGE, vBTGE, compute.AttentionAxesLayoutBSHD, options)
	return out
}
