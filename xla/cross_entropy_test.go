package xla_test

import (
	"math"
	"math/rand/v2"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/stretchr/testify/require"

	"tandem/tests/testkit"
	"tandem/xla"
)

// headReference is the loss by its formula, row by row in float64, with the gradients of x and the head.
func headReference(x, head []float64, targets []int32, weights []float64, width, vocab int, softcap float64) (total float64, losses, dx, dHead []float64) {
	losses, dx, dHead = make([]float64, len(targets)), make([]float64, len(x)), make([]float64, len(head))
	for m, target := range targets {
		if target < 0 {
			continue
		}
		capped, sum := make([]float64, vocab), 0.0
		for v := range capped {
			var logit float64
			for d := range width {
				logit += x[m*width+d] * head[d*vocab+v]
			}
			capped[v] = softcap * math.Tanh(logit/softcap)
			sum += math.Exp(capped[v])
		}
		losses[m] = math.Log(sum) - capped[target]
		total += weights[m] * losses[m]
		for v := range capped {
			slope := math.Exp(capped[v]) / sum
			if v == int(target) {
				slope--
			}
			slope *= weights[m] * (1 - math.Pow(capped[v]/softcap, 2))
			for d := range width {
				dx[m*width+d] += slope * head[d*vocab+v]
				dHead[d*vocab+v] += slope * x[m*width+d]
			}
		}
	}
	return total, losses, dx, dHead
}

func TestTheHeadsLossAgreesWithItsFormulaInEveryGradient(t *testing.T) {
	device := testkit.Device(t)
	const rows, width, vocab, softcap = 11, 6, 37, 5.0
	random := rand.New(rand.NewPCG(1, 2))
	x, head := testkit.Random(random, rows*width, 2), testkit.Random(random, width*vocab, 1)
	weights := testkit.Random(random, rows, 1)
	targets := make([]int32, rows)
	for m := range targets {
		targets[m] = random.Int32N(vocab)
	}
	targets[3], targets[10] = -1, -7
	wantTotal, wantLosses, wantDx, wantDHead := headReference(x, head, targets, weights, width, vocab, softcap)
	for name, chunk := range map[string]int{"one chunk": rows, "chunks and a rest": 4, "a row at a time": 1} {
		t.Run(name, func(t *testing.T) {
			defer xla.SetChunkRows(chunk)()
			list := []*tensors.Tensor{testkit.Float(x, rows, width), testkit.Float(head, width, vocab), testkit.Int(targets, rows), testkit.Float(weights, rows)}
			got := testkit.Run(t, device, list, func(n []*Node) []*Node {
				total, losses := xla.HeadLoss(n[0], n[1], n[2], n[3], softcap)
				doubled := MulScalar(total, 2) // an adjoint other than one
				return append([]*Node{total, losses}, Gradient(doubled, n[0], n[1])...)
			})
			testkit.Close(t, "total", []float64{wantTotal}, got[0], tolerance.Forward)
			testkit.Close(t, "losses", wantLosses, got[1], tolerance.Forward)
			testkit.Close(t, "gradient of x", twice(wantDx), got[2], tolerance.Gradient)
			testkit.Close(t, "gradient of the head", twice(wantDHead), got[3], tolerance.Gradient)
		})
	}
}

func twice(values []float64) []float64 {
	doubled := make([]float64, len(values))
	for i, value := range values {
		doubled[i] = 2 * value
	}
	return doubled
}

func TestTheHeadsLossHoldsNoLogitsOfAllRows(t *testing.T) {
	device := testkit.Device(t)
	defer xla.SetChunkRows(2)()
	const rows, width, vocab = 16, 3, 50
	list := []*tensors.Tensor{testkit.Float(make([]float64, rows*width), rows, width), testkit.Float(make([]float64, width*vocab), width, vocab),
		testkit.Int(make([]int32, rows), rows), testkit.Float(make([]float64, rows), rows)}
	largest := 0
	testkit.Run(t, device, list, func(n []*Node) []*Node {
		total, _ := xla.HeadLoss(n[0], n[1], n[2], n[3], 15)
		outputs := Gradient(total, n[0], n[1])
		for _, node := range total.Graph().Nodes() {
			if node.NumOutputs() == 1 {
				largest = max(largest, node.Shape().Size())
			}
		}
		return outputs
	})
	require.Equal(t, width*vocab, largest, "the logits of all rows would be %d numbers", rows*vocab)
}

func TestTheLossOfManyRowsAndOfALargeVocabularyKeepsItsDigits(t *testing.T) {
	device := testkit.Device(t)
	// run gives the total, whose weights are those of a mean, and the losses with and without a gradient.
	run := func(x, head []float64, targets []int32, width, vocab int) [][]float64 {
		weights := make([]float64, len(targets))
		for i := range weights {
			weights[i] = 1 / float64(len(targets))
		}
		list := []*tensors.Tensor{testkit.Float(x, len(targets), width), testkit.Float(head, width, vocab), testkit.Int(targets, len(targets)),
			testkit.Float(weights, len(targets))}
		return testkit.Run(t, device, list, func(n []*Node) []*Node {
			total, losses := xla.HeadLoss(n[0], n[1], n[2], n[3], 15)
			return []*Node{total, losses, xla.HeadLosses(n[0], n[1], n[2], 15)}
		})
	}
	t.Run("rows", func(t *testing.T) { // of equal losses, as before training
		const rows, vocab = 1 << 14, 64
		got := run(make([]float64, rows), make([]float64, vocab), make([]int32, rows), 1, vocab)
		require.InEpsilon(t, math.Log(vocab), got[0][0], 1e-5)
	})
	t.Run("vocabulary", func(t *testing.T) { // of tokens that are nearly as likely as each other, as after a first step
		const rows, width, vocab = 4, 4, 1 << 16
		random := rand.New(rand.NewPCG(1, 2))
		x, head, targets := testkit.Random(random, rows*width, 1), testkit.Random(random, width*vocab, 1e-4), []int32{3, 40_000, 12, 60_000}
		_, want, _, _ := headReference(x, head, targets, make([]float64, rows), width, vocab, 15)
		got := run(x, head, targets, width, vocab)
		testkit.Close(t, "losses", want, got[1], 2e-6)
		testkit.Close(t, "losses alone", want, got[2], 2e-6)
	})
}
