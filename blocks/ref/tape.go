package ref

import (
	"fmt"
	"math"
)

// Tape records scalar arithmetic for reverse-mode differentiation (Griewank & Walther 2008, "Evaluating Derivatives",
// section 3.2). Each entry keeps its value and its partial derivatives by the entries it was computed from; the chain
// rule does the rest.
type Tape struct {
	values    []float64
	edgesEnd  []int // entry s owns edges edgesEnd[s-1]:edgesEnd[s]
	operands  []scalar
	partials  []float64
	gradients []float64 // of the last Backward, by entry
}

// scalar is the index of an entry.
type scalar int32

// NewTape returns an empty tape.
func NewTape() *Tape { return &Tape{} }

// Backward computes the gradient of Σ outs·seeds with respect to everything on the tape, for Grad to read. It replaces
// the gradient of an earlier call.
func (t *Tape) Backward(outs []Array, seeds [][]float64) {
	if len(outs) != len(seeds) {
		panic(fmt.Errorf("gradient of %d arrays: %d seeds; each array needs one", len(outs), len(seeds)))
	}
	t.gradients = make([]float64, len(t.values))
	for i, out := range outs {
		if len(seeds[i]) != len(out.entries) {
			panic(fmt.Errorf("seed %d has %d values: its array of shape %v has %d", i, len(seeds[i]), out.shape, len(out.entries)))
		}
		for j, entry := range out.entries {
			t.gradients[entry] += seeds[i][j]
		}
	}
	for s := len(t.values) - 1; s > 0; s-- {
		if t.gradients[s] == 0 {
			continue
		}
		for edge := t.edgesEnd[s-1]; edge < t.edgesEnd[s]; edge++ {
			t.gradients[t.operands[edge]] += t.gradients[s] * t.partials[edge]
		}
	}
}

// Gradient is Backward for Σ y·seed.
func (t *Tape) Gradient(y Array, seed []float64) { t.Backward([]Array{y}, [][]float64{seed}) }

// Grad returns the gradient with respect to a, in a's shape. Call Gradient or Backward first.
func (t *Tape) Grad(a Array) []float64 {
	if len(t.gradients) != len(t.values) {
		panic(fmt.Errorf("read a gradient: none was computed since the tape last grew; call Gradient or Backward first"))
	}
	gradient := make([]float64, len(a.entries))
	for i, entry := range a.entries {
		gradient[i] = t.gradients[entry]
	}
	return gradient
}

// edge adds ∂(the next entry)/∂operand.
func (t *Tape) edge(operand scalar, partial float64) {
	t.operands = append(t.operands, operand)
	t.partials = append(t.partials, partial)
}

// entry closes an entry over the edges since the last one.
func (t *Tape) entry(value float64) scalar {
	t.values = append(t.values, value)
	t.edgesEnd = append(t.edgesEnd, len(t.operands))
	return scalar(len(t.values) - 1)
}

func (t *Tape) value(a scalar) float64 { return t.values[a] }

func (t *Tape) constant(value float64) scalar { return t.entry(value) }

// The primitives. Everything in this package is composed of these, and no other derivative is written down.

// weighted is Σ factors·operands with constant factors.
func (t *Tape) weighted(operands []scalar, factors []float64) scalar {
	sum := 0.0
	for i, operand := range operands {
		t.edge(operand, factors[i])
		sum += factors[i] * t.values[operand]
	}
	return t.entry(sum)
}

func (t *Tape) add(a, b scalar) scalar {
	t.edge(a, 1)
	t.edge(b, 1)
	return t.entry(t.values[a] + t.values[b])
}

func (t *Tape) negate(a scalar) scalar {
	t.edge(a, -1)
	return t.entry(-t.values[a])
}

func (t *Tape) scale(a scalar, factor float64) scalar {
	t.edge(a, factor)
	return t.entry(t.values[a] * factor)
}

// shift is a + c for a constant c.
func (t *Tape) shift(a scalar, c float64) scalar {
	t.edge(a, 1)
	return t.entry(t.values[a] + c)
}

func (t *Tape) multiply(a, b scalar) scalar {
	t.edge(a, t.values[b])
	t.edge(b, t.values[a])
	return t.entry(t.values[a] * t.values[b])
}

func (t *Tape) divide(a, b scalar) scalar {
	quotient := t.values[a] / t.values[b]
	t.edge(a, 1/t.values[b])
	t.edge(b, -quotient/t.values[b])
	return t.entry(quotient)
}

func (t *Tape) exp(a scalar) scalar {
	e := math.Exp(t.values[a])
	t.edge(a, e)
	return t.entry(e)
}

// log1p is ln(1+a).
func (t *Tape) log1p(a scalar) scalar {
	t.edge(a, 1/(1+t.values[a]))
	return t.entry(math.Log1p(t.values[a]))
}

func (t *Tape) sqrt(a scalar) scalar {
	root := math.Sqrt(t.values[a])
	t.edge(a, 1/(2*root))
	return t.entry(root)
}

// sum is Σ a.
func (t *Tape) sum(a []scalar) scalar {
	total := 0.0
	for _, term := range a {
		t.edge(term, 1)
		total += t.values[term]
	}
	return t.entry(total)
}

// dot is Σ a·b, one entry however long.
func (t *Tape) dot(a, b []scalar) scalar {
	if len(a) != len(b) {
		panic(fmt.Errorf("dot product: %d and %d elements; the lengths must agree", len(a), len(b)))
	}
	total := 0.0
	for i := range a {
		t.edge(a[i], t.values[b[i]])
		t.edge(b[i], t.values[a[i]])
		total += t.values[a[i]] * t.values[b[i]]
	}
	return t.entry(total)
}
