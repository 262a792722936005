package blocks

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/gomlx/compute/dtypes"
)

// Group says which optimizer updates a weight.
type Group string

const (
	GroupMatrix    Group = "matrix"    // Muon
	GroupEmbedding Group = "embedding" // AdamW with the embedding's learning rate
	GroupHead      Group = "head"      // AdamW with the head's learning rate
	GroupScalar    Group = "scalar"    // AdamW with the scalars' learning rate
)

// Weight declares one tensor. The list a block or model returns drives initialisation, counting, optimizers,
// checkpoints and memory estimates. Matrices are stored [in, out] so that y = x·W.
type Weight struct {
	Name  string
	Shape []int
	Init  Distribution
	Group Group
	// Rate is the weight's learning rate as a share of its group's; 0 is 1.
	Rate float64
	// DType is what is stored: the master copy, float32 for every kind so far.
	DType dtypes.DType
}

// Size is the number of elements.
func (w Weight) Size() int {
	size := 1
	for _, dim := range w.Shape {
		size *= dim
	}
	return size
}

// Distribution is an initial distribution as data.
type Distribution struct {
	// Kind is one of "zero", "one", "normal", "uniform", "log-index" and "inverse-softplus".
	Kind string
	// Scale is the standard deviation of "normal" and the bound of "uniform" (-Scale, Scale).
	Scale float64
	// Low and High bound Δ for "inverse-softplus".
	Low, High float64
}

// Zero is 0 everywhere.
func Zero() Distribution { return Distribution{Kind: "zero"} }

// One is 1 everywhere.
func One() Distribution { return Distribution{Kind: "one"} }

// Normal has mean 0 and standard deviation deviation.
func Normal(deviation float64) Distribution { return Distribution{Kind: "normal", Scale: deviation} }

// Uniform lies in (-bound, bound): standard deviation bound/√3.
func Uniform(bound float64) Distribution { return Distribution{Kind: "uniform", Scale: bound} }

// LogIndex is ln(n), n = 1… along the last axis: A = -exp(ln n) = -n, "S4D-real" (Gu et al. 2022, arXiv:2206.11893, eq. 9).
func LogIndex() Distribution { return Distribution{Kind: "log-index"} }

// InverseSoftplus draws Δ log-uniformly from [low, high] and stores softplus⁻¹(Δ) = Δ + ln(1 - exp(-Δ)), so that
// softplus of the weight is Δ (Gu & Dao 2023, arXiv:2312.00752, section 3.6).
func InverseSoftplus(low, high float64) Distribution {
	return Distribution{Kind: "inverse-softplus", Low: low, High: high}
}

// String reads as the declaration, for tables and errors.
func (d Distribution) String() string {
	switch d.Kind {
	case "normal":
		return fmt.Sprintf("normal(0, %.4g)", d.Scale)
	case "uniform":
		return fmt.Sprintf("uniform(±%.4g)", d.Scale)
	case "inverse-softplus":
		return fmt.Sprintf("softplus⁻¹(log-uniform %g…%g)", d.Low, d.High)
	}
	return d.Kind
}

// Fill draws values for a tensor whose last axis has length last.
func (d Distribution) Fill(random *rand.Rand, values []float32, last int) {
	for i := range values {
		values[i] = float32(d.draw(random, i%last))
	}
}

func (d Distribution) draw(random *rand.Rand, index int) float64 {
	switch d.Kind {
	case "zero":
		return 0
	case "one":
		return 1
	case "normal":
		return d.Scale * random.NormFloat64()
	case "uniform":
		return d.Scale * (2*random.Float64() - 1)
	case "log-index":
		return math.Log(float64(index + 1))
	case "inverse-softplus":
		delta := d.Low * math.Exp(random.Float64()*math.Log(d.High/d.Low))
		return delta + math.Log(-math.Expm1(-delta))
	}
	panic(fmt.Errorf("draw from distribution %q: unknown kind", d.Kind))
}

// Moments gives the mean and standard deviation of the distribution along a last axis of length last; the test of
// initialisation measures every tensor against it.
func (d Distribution) Moments(last int) (mean, deviation float64) {
	switch d.Kind {
	case "one":
		return 1, 0
	case "normal":
		return 0, d.Scale
	case "uniform":
		return 0, d.Scale / math.Sqrt(3)
	case "log-index", "inverse-softplus":
		// No closed form worth having: the midpoint rule over the quantiles.
		count := last
		quantile := func(i int) float64 { return math.Log(float64(i + 1)) }
		if d.Kind == "inverse-softplus" {
			count = 10000
			quantile = func(i int) float64 {
				delta := d.Low * math.Pow(d.High/d.Low, (float64(i)+0.5)/float64(count))
				return delta + math.Log(-math.Expm1(-delta))
			}
		}
		var square float64
		for i := range count {
			mean += quantile(i) / float64(count)
			square += quantile(i) * quantile(i) / float64(count)
		}
		return mean, math.Sqrt(max(0, square-mean*mean))
	}
	return 0, 0
}
