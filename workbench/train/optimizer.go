package train

import (
	"fmt"
	"math"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"

	"tandem/models"
)

// AdamW's constants (Loshchilov & Hutter 2019, arXiv:1711.05101; values of nanochat).
const (
	adamBeta1   = 0.8
	adamBeta2   = 0.95
	adamEpsilon = 1e-10
)

// optimizer updates the weights of one model: Muon for matrices, AdamW for all else.
type optimizer struct {
	options Options
	weights []models.Weight
	width   int
	compute dtypes.DType
}

// slot is one tensor of optimizer state, beside the weight it belongs to.
type slot struct {
	name  string
	shape []int
}

// slots declares the state of weight i: two tensors for either optimizer.
func (o *optimizer) slots(i int) []slot {
	weight := o.weights[i]
	if weight.Group == models.GroupMatrix {
		return []slot{
			{weight.Name + "/momentum", weight.Shape},
			{weight.Name + "/second", secondShape(weight.Shape[0], weight.Shape[1])},
		}
	}
	return []slot{{weight.Name + "/mean", weight.Shape}, {weight.Name + "/square", weight.Shape}}
}

// rates are the scalar nodes of one step.
type rates struct {
	lr, momentum, decay *Node
	step                *Node // from 1, float32
}

// update builds the new weights and state (two tensors a weight) from gradients in float32.
func (o *optimizer) update(weights, gradients, state []*Node, r rates) (nextWeights, nextState []*Node) {
	nextWeights, nextState = make([]*Node, len(weights)), make([]*Node, len(state))
	stacks := map[string][]int{}
	var order []string
	for i, weight := range o.weights {
		if weight.Group != models.GroupMatrix {
			nextWeights[i], nextState[2*i], nextState[2*i+1] = o.adamW(weight, weights[i], gradients[i], state[2*i], state[2*i+1], r)
			continue
		}
		key := fmt.Sprint(weight.Shape)
		if stacks[key] == nil {
			order = append(order, key)
		}
		stacks[key] = append(stacks[key], i)
	}
	for _, key := range order {
		o.muon(stacks[key], weights, gradients, state, nextWeights, nextState, r)
	}
	return nextWeights, nextState
}

// learningRate is a weight's rate at full schedule.
func (o *optimizer) learningRate(weight models.Weight) float64 {
	share := weight.Rate
	if share == 0 {
		share = 1
	}
	narrow := math.Sqrt(768 / float64(o.width))
	switch weight.Group {
	case models.GroupMatrix:
		return share * o.options.MatrixLR * aspect(weight.Shape[0], weight.Shape[1])
	case models.GroupEmbedding:
		return share * o.options.EmbeddingLR * narrow
	case models.GroupHead:
		return share * o.options.HeadLR * narrow
	}
	return share * o.options.ScalarLR
}

// adamW is m ← β₁m + (1-β₁)g, v ← β₂v + (1-β₂)g², p ← p - lr·(m/(1-β₁ᵗ)) / (√(v/(1-β₂ᵗ)) + ε). Nothing it updates is
// decayed.
func (o *optimizer) adamW(weight models.Weight, p, gradient, mean, square *Node, r rates) (next, nextMean, nextSquare *Node) {
	nextMean = Add(MulScalar(mean, adamBeta1), MulScalar(gradient, 1-adamBeta1))
	nextSquare = Add(MulScalar(square, adamBeta2), MulScalar(Square(gradient), 1-adamBeta2))
	correction := func(beta float64) *Node { return Neg(Expm1(MulScalar(r.step, math.Log(beta)))) } // 1-βᵗ, to the last digit
	size := Div(MulScalar(r.lr, o.learningRate(weight)), correction(adamBeta1))
	deviation := AddScalar(Mul(Sqrt(nextSquare), Inverse(Sqrt(correction(adamBeta2)))), adamEpsilon)
	return Sub(p, Div(Mul(nextMean, size), deviation)), nextMean, nextSquare
}

// muon updates the same-shape matrices with the given indices as one stack.
func (o *optimizer) muon(indices []int, weights, gradients, state, nextWeights, nextState []*Node, r rates) {
	var seen, seconds []*Node
	for _, i := range indices {
		g, buffer := nesterov(gradients[i], state[2*i], r.momentum)
		nextState[2*i] = buffer
		seen, seconds = append(seen, ExpandAxes(g, 0)), append(seconds, ExpandAxes(state[2*i+1], 0))
	}
	update, second := equalizeNeurons(orthogonalize(join(seen), o.compute), join(seconds))
	for k, i := range indices {
		lr := MulScalar(r.lr, o.learningRate(o.weights[i]))
		one := func(stack *Node) *Node { return Squeeze(SliceAxis(stack, 0, AxisRange(k, k+1)), 0) }
		nextWeights[i] = cautious(weights[i], one(update), lr, r.decay)
		nextState[2*i+1] = one(second)
	}
}

// join concatenates along the first axis.
func join(parts []*Node) *Node {
	if len(parts) == 1 {
		return parts[0]
	}
	return Concatenate(parts, 0)
}
