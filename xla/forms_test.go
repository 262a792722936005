package xla_test

import (
	"math/rand/v2"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/stretchr/testify/require"

	"tandem/tests/testkit"
	"tandem/xla"
)

// formCase is an operation that is built in another form for the Go backend than for XLA.
type formCase struct {
	shapes [][]int
	build  func(n []*Node) *Node
}

var formCases = map[string]formCase{
	"dense, narrow to wide": {[][]int{{2, 3, 4}, {4, 7}}, func(n []*Node) *Node { return xla.Dense(n[0], n[1]) }},
	"dense, wide to narrow": {[][]int{{5, 7}, {7, 3}}, func(n []*Node) *Node { return xla.Dense(n[0], n[1]) }},
	"norm":                  {[][]int{{2, 3, 8}}, func(n []*Node) *Node { return xla.RMSNorm(n[0], 1e-6) }},
	"rotary norm, one table for all rows": {[][]int{{2, 3, 2, 4}, {1, 3, 1, 2}, {1, 3, 1, 2}}, func(n []*Node) *Node {
		return xla.RotaryNorm(n[0], StopGradient(Cos(n[1])), StopGradient(Sin(n[1])), 1e-6)
	}},
	"rotary norm, a table for each row": {[][]int{{2, 3, 2, 4}, {2, 3, 1, 2}}, func(n []*Node) *Node {
		return xla.RotaryNorm(n[0], StopGradient(Cos(n[1])), StopGradient(Sin(n[1])), 1e-6)
	}},
	"attention, a head for each key head": {[][]int{{2, 3, 2, 4}, {2, 5, 2, 4}, {2, 5, 2, 4}, {1, 3, 5}}, func(n []*Node) *Node {
		return xla.Attend(n[0], n[1], n[2], StopGradient(n[3]))
	}},
	"attention, three heads for each key head, a bias for each row": {[][]int{{2, 3, 6, 4}, {2, 5, 2, 4}, {2, 5, 2, 4}, {2, 3, 5}}, func(n []*Node) *Node {
		return xla.Attend(n[0], n[1], n[2], StopGradient(n[3]))
	}},
	"squared ReLU": {[][]int{{3, 5}}, func(n []*Node) *Node { return xla.SquareReLU(n[0]) }},
}

func TestTheFormsForXLAAndForGoAgreeInOutputAndGradients(t *testing.T) {
	device := testkit.Device(t)
	for name, c := range formCases {
		t.Run(name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(7, 7))
			var inputs []*tensors.Tensor
			for _, shape := range c.shapes {
				inputs = append(inputs, testkit.Float(testkit.Random(random, testkit.Size(shape...), 1), shape...))
			}
			run := func() [][]float64 {
				return testkit.Run(t, device, inputs, func(n []*Node) []*Node {
					y := c.build(n)
					loss := ReduceAllSum(Mul(y, Sin(Iota(y.Graph(), y.Shape(), -1)))) // an adjoint that differs along the last axis
					return append([]*Node{y}, Gradient(loss, n...)...)
				})
			}
			fast := run()
			defer xla.UsePlainForms()()
			plain := run()
			require.Len(t, fast, len(plain))
			for i := range plain {
				testkit.Close(t, "result", plain[i], fast[i], tolerance.Gradient)
			}
		})
	}
}

func TestTheScanAndTheHeadsLossAgreeWithTheirReferencesInXLAsForms(t *testing.T) {
	defer xla.UsePlainForms()()
	t.Run("scan", TestScanStartsDocumentsFromAnEmptyStateAndSkipsPadding)
	t.Run("loss", TestTheHeadsLossAgreesWithItsFormulaInEveryGradient)
}
