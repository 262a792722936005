package eval_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/stretchr/testify/require"

	"tandem/models"
	"tandem/tests/testkit"
	"tandem/workbench/eval"
	"tandem/workbench/tokenizer"
	"tandem/xla"
)

// fixture is a small model with random weights, none of them zero, that computes in float32.
type fixture struct {
	device  *xla.Device
	model   *models.Model
	weights []*tensors.Tensor
	// native is the dtype that the device computes in if it is not told to be exact.
	native dtypes.DType
}

func newFixture(t testing.TB, pattern models.Pattern, config models.Config) *fixture {
	t.Helper()
	config.Pattern = pattern
	model, err := models.New(config)
	require.NoError(t, err)
	f := &fixture{device: testkit.Device(t), model: model}
	f.native, f.device.Compute = f.device.Compute, dtypes.Float32
	random := rand.New(rand.NewPCG(1, 2))
	for i, values := range model.Init(1) {
		weight := model.Weights()[i]
		if weight.Init.Kind == "zero" {
			for j := range values {
				values[j] = float32(random.NormFloat64() / math.Sqrt(float64(weight.Shape[0])) * 2)
			}
		}
		f.weights = append(f.weights, tensors.FromFlatDataAndDimensions(values, weight.Shape...))
	}
	return f
}

func (f *fixture) scorer(t testing.TB, o eval.ScorerOptions) *eval.Scorer {
	t.Helper()
	scorer := eval.NewScorer(f.device, f.model, f.weights, o)
	t.Cleanup(scorer.Close)
	return scorer
}

// bytesOnly is a tokenizer of the 256 bytes and the special tokens.
func bytesOnly(t testing.TB) *tokenizer.Tokenizer {
	t.Helper()
	tok, err := tokenizer.Train(func(func(string, error) bool) {}, 256+9)
	require.NoError(t, err)
	return tok
}

func zerosLike(tensor *tensors.Tensor) *tensors.Tensor {
	shape := tensor.Shape()
	return tensors.FromFlatDataAndDimensions(make([]float32, shape.Size()), shape.Dimensions...)
}

// nanLike is what a diverged training leaves of a weight.
func nanLike(tensor *tensors.Tensor) *tensors.Tensor {
	shape := tensor.Shape()
	values := make([]float32, shape.Size())
	for i := range values {
		values[i] = float32(math.NaN())
	}
	return tensors.FromFlatDataAndDimensions(values, shape.Dimensions...)
}
