package xla

import (
	"math"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
)

// Attend is softmax(q·k/√E + bias)·v from products, which holds the scores: q [B,T,H,E], k and v [B,C,G,E] with G dividing
// H, and a bias added to the scores of every head, float32 [B or 1,T,C]. Query head i reads key/value head i/(H/G). Scores
// and softmax are float32. The bias has no gradient. With p the weights and D = Σ_e dy·y, backward is
//
//	dv = pᵀ·dy    ds = p·(dy·vᵀ - D)    dq = ds·k/√E    dk = dsᵀ·q/√E
func Attend(qBTHE, kBCGE, vBCGE, biasBTC *Node) *Node {
	return attend.Call(qBTHE, kBCGE, vBCGE, biasBTC)[0]
}

// AttentionWeights is the softmax in Attend, to look at: float32 [B,H,T,C].
func AttentionWeights(qBTHE, kBCGE, biasBTC *Node) *Node {
	a := newAttention(qBTHE, kBCGE)
	return a.weights(a.queries(qBTHE), a.keys(kBCGE), biasBTC)
}

var attend = &Operation{
	Name: "attend",
	Definition: func(inputs []*Node) []*Node {
		a := newAttention(inputs[0], inputs[1])
		q, k, v := a.queries(inputs[0]), a.keys(inputs[1]), a.keys(inputs[2])
		p := Reshape(a.weights(q, k, inputs[3]), a.batch*a.groups, -1, a.slots)
		y := product(ConvertDType(p, v.DType()), v, 2, 1)
		return []*Node{a.tokens(y, a.heads/a.groups), p}
	},
	Gradient: func(inputs, outputs, adjoints []*Node) []*Node {
		return append(attendGradient.Call(inputs[0], inputs[1], inputs[2], outputs[0], outputs[1], adjoints[0]), nil)
	},
}

// attendGradient takes q, k, v, y, p and dy to dq, dk and dv.
var attendGradient = &Operation{
	Name: "attend_gradient",
	Definition: func(inputs []*Node) []*Node {
		a := newAttention(inputs[0], inputs[1])
		q, k, v := a.queries(inputs[0]), a.keys(inputs[1]), a.keys(inputs[2])
		y, p, dy := a.queries(inputs[3]), inputs[4], a.queries(inputs[5])
		dp := ConvertDType(productTransposed(dy, v), dtypes.Float32)
		own := SumLast(Mul(ConvertDType(dy, dtypes.Float32), ConvertDType(y, dtypes.Float32)))
		ds := ConvertDType(Mul(Mul(p, Sub(dp, own)), constant(p, a.scale)), q.DType())
		dv := transposedProduct(ConvertDType(p, v.DType()), dy, v.DType())
		dk := transposedProduct(ds, q, k.DType())
		return []*Node{a.tokens(product(ds, k, 2, 1), a.heads/a.groups), a.tokens(dk, 1), a.tokens(dv, 1)}
	},
}

// attention is the sizes of one call.
type attention struct {
	batch, time, heads, channels, slots, groups int

	scale float32 // 1/√E
}

func newAttention(qBTHE, kBCGE *Node) attention {
	q, k := qBTHE.Shape().Dimensions, kBCGE.Shape().Dimensions
	return attention{q[0], q[1], q[2], q[3], k[1], k[2], float32(1 / math.Sqrt(float64(q[3])))}
}

// weights is softmax(q·k/√E + bias), float32 [B,H,T,C], of what queries and keys give.
func (a attention) weights(q, k, biasBTC *Node) *Node {
	scores := ConvertDType(productTransposed(q, k), dtypes.Float32)
	scoresBHTC := Reshape(Mul(scores, constant(q, a.scale)), a.batch, a.heads, a.time, a.slots)
	biasBHTC := repeat(ExpandAxes(biasBTC, 1), 1, a.heads)
	if biasBTC.Shape().Dim(0) < a.batch {
		biasBHTC = repeat(biasBHTC, 0, a.batch)
	}
	return Softmax(Add(scoresBHTC, biasBHTC), -1)
}

// queries puts the heads of a group side by side: [B,T,H,E] to [B·G, H/G·T, E].
func (a attention) queries(x *Node) *Node {
	if a.time == 1 || a.heads == 1 {
		return Reshape(x, a.batch*a.groups, -1, a.channels)
	}
	split := Reshape(x, a.batch, a.time, a.groups, a.heads/a.groups, a.channels)
	return Reshape(TransposeAllDims(split, 0, 2, 3, 1, 4), a.batch*a.groups, -1, a.channels)
}

// keys is [B,C,G,E] to [B·G,C,E].
func (a attention) keys(x *Node) *Node {
	if a.groups == 1 {
		return Reshape(x, a.batch, a.slots, a.channels)
	}
	return Reshape(TransposeAllDims(x, 0, 2, 1, 3), a.batch*a.groups, a.slots, a.channels)
}

// tokens undoes queries, or keys with one head a group: [B·G, each·T, E] to [B,T,G·each,E].
func (a attention) tokens(x *Node, each int) *Node {
	split := Reshape(x, a.batch, a.groups, each, -1, a.channels)
	time := split.Shape().Dim(3)
	if time == 1 || a.groups*each == 1 {
		return Reshape(x, a.batch, time, a.groups*each, a.channels)
	}
	return Reshape(TransposeAllDims(split, 0, 3, 1, 2, 4), a.batch, time, a.groups*each, a.channels)
}
