package ref_test

import (
	"fmt"

	"tandem/blocks/ref"
)

// A channel whose state halves at each token: Δ = softplus(0) = ln 2 and A = -1. Only the first token brings anything.
func Example() {
	t := ref.NewTape()
	token, one := []int{1, 3, 1}, []int{1}
	u := t.Array(token, []float64{1, 0, 0})
	y, h := ref.Scan(t, ref.ScanInputs{
		U: u, Delta: t.Array(token, []float64{0, 0, 0}), Z: t.Array(token, []float64{40, 40, 40}), // a gate of 40
		A: t.Array([]int{1, 1}, []float64{-1}), B: t.Array(token, []float64{1, 1, 1}), C: t.Array(token, []float64{1, 1, 1}),
		D: t.Array(one, []float64{0}), Bias: t.Array(one, []float64{0}),
	})
	t.Gradient(y, []float64{0, 0, 1})
	fmt.Printf("y %.3f, last state %.3f, gradient of u %.3f\n", y.Values(), h.Values(), t.Grad(u))
	// Output: y [27.726 13.863 6.931], last state [0.173], gradient of u [6.931 13.863 27.726]
}
