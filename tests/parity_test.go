package tests

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/stretchr/testify/require"

	"tandem/blocks"
	"tandem/models"
	"tandem/tests/testkit"
	"tandem/workbench/train"
	"tandem/xla"
)

// goldens are the models of parity/golden.py.
var goldens = []string{"t4", "m4", "t2m2", "tm2"}

// bar is how much worse than PyTorch's own error ours may be, both being sums of roundings in another order.
const bar = 4

// floors are the least relative error that counts.
var floors = map[dtypes.DType]float64{
	dtypes.Float32: 4.0 / (1 << 24), // four roundings are no error
	// What is compared sums over many, so half a rounding is an error.
	dtypes.BFloat16: 0.5 / (1 << 8),
}

// comparison collects where a model is further from float64 than the bar allows.
type comparison struct {
	precision string
	floor     float64
	worst     float64 // our error over PyTorch's
	at        string
	failures  []string
}

func newComparison(device *xla.Device) *comparison {
	return &comparison{precision: strings.ToLower(device.Compute.String()), floor: floors[device.Compute]}
}

// number compares one number with float64, given PyTorch's error and the size of what was rounded.
func (c *comparison) number(name string, got, want, theirs, size float64) {
	off, accepted := math.Abs(got-want), max(theirs, c.floor*size)
	ratio := off / accepted
	if math.IsNaN(ratio) {
		ratio = math.Inf(1)
	}
	if ratio >= c.worst {
		c.worst, c.at = ratio, name
	}
	if ratio > bar {
		c.failures = append(c.failures, fmt.Sprintf("%s is %.9g, float64 says %.9g: an error of %.2g, %.1f times the accepted %.2g",
			name, got, want, off, ratio, accepted))
	}
}

// tensor compares a tensor with its summary.
func (c *comparison) tensor(g *golden, name string, got []float32, want summary) {
	theirs := want.Errors[c.precision]
	var square, dot float64
	for i, value := range got {
		square += float64(value) * float64(value)
		dot += float64(value) * g.unit("probe/"+want.Of, i)
	}
	c.number(name+": 2-norm", math.Sqrt(square), want.Norm, theirs.Norm, want.Norm)
	c.number(name+": dot product with the probe", dot, want.Dot, theirs.Norm, want.Norm)
	for j, sample := range want.Samples {
		i := g.bits("sample/"+want.Of, j) % len(got)
		c.number(fmt.Sprintf("%s: element %d", name, i), float64(got[i]), sample, theirs.Largest, want.Largest)
	}
}

// report logs the worst and fails the test if anything is out of bounds.
func (c *comparison) report(t testing.TB, g *golden) {
	t.Helper()
	t.Logf("largest error: %.2f times that of PyTorch %s in %s: %s", c.worst, g.Torch, c.precision, c.at)
	if count := len(c.failures); count > 0 {
		t.Errorf("%d numbers are more than %d times as far from float64 as PyTorch's:\n%s", count, bar, strings.Join(c.failures[:min(count, 40)], "\n"))
	}
}

// eachGolden runs a test for every model in every precision of the backend under test: float32 on all, bfloat16 where an
// accelerator computes in it.
func eachGolden(t *testing.T, test func(t *testing.T, device *xla.Device, model *models.Model, g *golden)) {
	for _, compute := range []dtypes.DType{dtypes.Float32, dtypes.BFloat16} {
		t.Run("in "+compute.String(), func(t *testing.T) {
			device := testkit.Device(t)
			if device.Compute != compute && compute == dtypes.BFloat16 {
				t.Skipf("backend %s computes in %s", device.Kind, device.Compute)
			}
			if device.Compute != compute {
				device.Compute = dtypes.Float32
			}
			for _, name := range goldens {
				t.Run(name, func(t *testing.T) {
					g := readGolden(t, name)
					if g.Model.Blocks["mamba"] == nil { // the reference has one rate for all matrices
						g.Model.Blocks["mamba"] = &blocks.Mamba{LR: 1}
					}
					model, err := models.New(g.Model)
					require.NoError(t, err)
					test(t, device, model, g)
				})
			}
		})
	}
}

func TestLogitsLossAndGradientsAgreeWithPyTorch(t *testing.T) {
	eachGolden(t, func(t *testing.T, device *xla.Device, model *models.Model, g *golden) {
		require.Len(t, model.Weights(), len(g.Weights))
		for i, weight := range model.Weights() {
			require.Equal(t, g.Weights[i].Name, weight.Name)
			require.Equal(t, g.Weights[i].Shape, weight.Shape, weight.Name)
		}
		c := newComparison(device)
		loss, gradients, logits := forwardAndBackward(t, device, model, g)
		c.number("loss", loss, g.Loss["float64"], math.Abs(g.Loss[c.precision]-g.Loss["float64"]), g.Loss["float64"])
		c.tensor(g, "logits", logits, g.Logits)
		for i, weight := range g.Weights {
			c.tensor(g, "gradient of "+weight.Name, gradients[i], weight.Gradient)
		}
		c.report(t, g)
	})
}

func TestTrainingAgreesWithPyTorch(t *testing.T) {
	eachGolden(t, func(t *testing.T, device *xla.Device, model *models.Model, g *golden) {
		trainer, err := train.New(device, model, g.Options)
		require.NoError(t, err)
		defer trainer.Close()
		snapshot, err := trainer.Snapshot(nil)
		require.NoError(t, err)
		for i, weight := range g.Weights {
			snapshot.Model[i].Data, err = binary.Append(nil, binary.LittleEndian, g.weight(i))
			require.NoError(t, err, weight.Name)
		}
		require.NoError(t, trainer.Restore(snapshot))
		for step := range g.Options.Steps {
			require.NoError(t, trainer.Step([]train.Batch{g.batch(step)}))
		}
		metrics, err := trainer.Flush()
		require.NoError(t, err)

		c := newComparison(device)
		want, theirs, largest := g.Training.Losses, g.Training.Errors[c.precision], 0.0
		require.Len(t, metrics, len(want))
		for step, m := range metrics {
			require.False(t, m.Skipped, "step %d", step)
			largest = max(largest, theirs[step])
			c.number(fmt.Sprintf("loss of step %d", step), m.Loss, want[step], largest, want[step])
		}
		c.report(t, g)
	})
}

// forwardAndBackward gives the loss, the gradient of every weight and the logits.
func forwardAndBackward(t testing.TB, device *xla.Device, model *models.Model, g *golden) (loss float64, gradients [][]float32, logits []float32) {
	t.Helper()
	var inputs []xla.Input
	var arguments []*tensors.Tensor
	add := func(name string, value *tensors.Tensor) {
		inputs = append(inputs, xla.Input{Name: name, Shape: value.Shape()})
		arguments = append(arguments, value)
	}
	for i, weight := range g.Weights {
		add(weight.Name, tensors.FromFlatDataAndDimensions(g.weight(i), weight.Shape...))
	}
	batch := g.batch(0)
	for i, values := range [][]int32{batch.Tokens, batch.Targets, batch.Documents} {
		add([]string{"tokens", "targets", "documents"}[i], testkit.Int(values, g.Options.Batch, g.Model.Context))
	}
	program, err := xla.Compile(device, "parity", inputs, func(_ *graph.Graph, in []*graph.Node) []*graph.Node {
		weights, tokens, targets, documents := in[:len(in)-3], in[len(in)-3], in[len(in)-2], in[len(in)-1]
		mean, _ := model.Loss(device.Compute, weights, tokens, targets, documents, 0)
		outputs := append([]*graph.Node{mean}, graph.Gradient(mean, weights...)...)
		return append(outputs, model.Forward(device.Compute, weights, tokens, documents))
	})
	require.NoError(t, err)
	defer program.Close()
	outputs, err := program.Run(arguments...)
	require.NoError(t, err)
	for _, output := range outputs[1:] {
		gradients = append(gradients, tensors.MustCopyFlatData[float32](output))
	}
	last := len(gradients) - 1
	return float64(tensors.ToScalar[float32](outputs[0])), gradients[:last], gradients[last]
}
