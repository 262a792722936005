package xla_test

import (
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/stretchr/testify/require"

	"tandem/models"
	"tandem/workbench/config"
	"tandem/xla"
)

// RTX cards, from the 3070 to the 5090, have 99 KiB of shared memory a block. No named model loses a kernel to that.
func TestEveryKernelOfTrainingANamedModelFitsAnRTXCard(t *testing.T) {
	defer xla.UsePlainForms()()
	device := xla.WithLimits(t, xla.Limits{ComputeCapability: "8.6", SharedMemory: 99 << 10})
	seen := map[string]bool{}
	for _, name := range config.Names() {
		t.Run(name, func(t *testing.T) {
			c, err := config.Load(name, nil)
			require.NoError(t, err)
			if strings.Contains(string(c.Model.Pattern), "T") { // attention from products, for cuDNN's is not ours to plan
				require.NoError(t, c.Override([]string{"transformer.mask_documents=true"}))
			}
			before := decisions()
			buildTraining(t, device, c)
			for operation, now := range decisions() {
				if now == before[operation] {
					continue // it is another test's
				}
				seen[operation] = seen[operation] || now.Kernel > before[operation].Kernel
				require.NotContains(t, now.Reason, "shared memory", operation)
			}
		})
	}
	for _, operation := range []string{"selective_scan_forward", "selective_scan_backward", "causal_conv", "causal_conv_gradient",
		"add_rms_norm", "rms_norm_gradient", "rotary_norm", "rotary_norm_gradient", "cross_entropy"} {
		require.True(t, seen[operation], "%s took no kernel", operation)
	}
}

// buildTraining builds the graph of a model's loss and its gradient, at the sizes it trains with.
func buildTraining(t *testing.T, device *xla.Device, c *config.Config) {
	t.Helper()
	model, err := models.New(c.Model)
	require.NoError(t, err)
	require.NoError(t, xla.Try(func() error {
		g := NewGraph(device.Backend, c.Name)
		defer g.Finalize()
		weights := make([]*Node, len(model.Weights()))
		for i, weight := range model.Weights() {
			weights[i] = Parameter(g, weight.Name, shapes.Make(weight.DType, weight.Shape...))
		}
		tokens := shapes.Make(dtypes.Int32, c.Train.Resolved().Batch, model.Config.Context)
		input := func(name string) *Node { return Parameter(g, name, tokens) }
		loss, _ := model.Loss(dtypes.BFloat16, weights, input("tokens"), input("targets"), input("documents"), 0)
		Gradient(loss, weights...)
		return nil
	}))
}

// decisions are those so far, by operation.
func decisions() map[string]xla.Decision {
	found := map[string]xla.Decision{}
	for _, decision := range xla.Decisions() {
		found[decision.Operation] = decision
	}
	return found
}
