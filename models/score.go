package models

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"tandem/blocks"
	"tandem/xla"
)

// Score asks whole rows, tokens [B,T], for the tokens that follow some of theirs. A place is row·T + column, and its
// target the token to follow there, both int32 [P]. It returns the targets' log-probabilities, float32 [P] in nats, and the
// likeliest tokens, int32 [P]. A row that is shorter than T may end in any tokens: what comes later changes no place.
func (m *Model) Score(compute dtypes.DType, weights []*Node, tokensBT, placesP, targetsP *Node) (logProbP, likeliestP *Node) {
	ctx := newContext(compute, tokensBT)
	xBTD, _ := m.hidden(ctx, weights, tokensBT, nil, 0)
	return m.judge(ctx, weights, Reshape(xBTD, ctx.Batch*ctx.Time, m.Config.Width), placesP, targetsP)
}

// ScoreAfter is Score for rows that begin alike: beginnings [B,S], of which lengthB tokens are real, run once each, and
// rows [N,T] go on from the state after the one that parentN names. Places are those of the rows. Rows may not be longer
// than what the model's context leaves, and their beginnings not be empty.
func (m *Model) ScoreAfter(compute dtypes.DType, weights []*Node, beginningsBS, lengthB, tokensNT, parentN, placesP, targetsP *Node) (logProbP, likeliestP *Node) {
	before, after := newContext(compute, beginningsBS), newContext(compute, tokensNT)
	before.LengthB = lengthB
	var state []*Node
	for _, tensor := range m.State(before.Batch, before.Time+after.Time, compute)[1:] {
		state = append(state, Zeros(before.Graph, shapes.Make(tensor.DType, tensor.Shape...)))
	}
	_, state = m.hidden(before, weights, beginningsBS, state, 0)
	parentN1 := ExpandAxes(parentN, -1)
	for i := range state {
		state[i] = Gather(state[i], parentN1)
	}
	after.PositionB = Gather(lengthB, parentN1)
	xNTD, _ := m.hidden(after, weights, tokensNT, state, 0)
	return m.judge(after, weights, Reshape(xNTD, after.Batch*after.Time, m.Config.Width), placesP, targetsP)
}

// judge computes logits at the places alone: they may be few of many.
func (m *Model) judge(ctx *blocks.Context, weights []*Node, xMD, placesP, targetsP *Node) (logProbP, likeliestP *Node) {
	places := placesP.Shape().Dim(0)
	xPD := Gather(xMD, ExpandAxes(placesP, -1))
	logitsPV := Reshape(m.logits(ctx, weights, Reshape(xPD, 1, places, m.Config.Width)), places, m.Config.Vocab)
	shiftP1 := ReduceAndKeep(logitsPV, ReduceMax, -1)
	logSumP := Squeeze(Add(Log(xla.SumLast(Exp(Sub(logitsPV, shiftP1)))), shiftP1), -1)
	index := Stack([]*Node{Iota(ctx.Graph, targetsP.Shape(), 0), targetsP}, -1)
	return Sub(Gather(logitsPV, index), logSumP), ArgMax(logitsPV, -1, dtypes.Int32)
}
