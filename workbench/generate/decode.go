package generate

import (
	"fmt"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
)

// decoder draws several tokens in one graph.
type decoder struct {
	trip    int // K, tokens a row
	weights []*Node
	// extend is Model.Extend for one token a row.
	extend func(weights []*Node, tokensB1, lengthB *Node, state []*Node) (logitsBV *Node, next []*Node)
}

// token feeds each live row its token and draws the next. Where a row is frozen drawnB is -1 and its state stays.
func (d decoder) token(c controls, state []*Node) (drawnB, logProbB *Node, after controls, next []*Node) {
	g := c.tokenB.Graph()
	one, none := Const(g, int32(1)), Const(g, int32(-1))
	aliveB := GreaterThan(c.leftB, Const(g, int32(0)))
	lengthB := ConvertDType(aliveB, dtypes.Int32)
	logitsBV, next := d.extend(d.weights, ExpandAxes(c.tokenB, -1), lengthB, state)
	chosenB, logProbB := c.choose(logitsBV)

	stoppedB := ReduceMax(ConvertDType(Equal(c.stopsBS, ExpandAxes(chosenB, -1)), dtypes.Int32), -1)
	after = c
	after.tokenB = Where(aliveB, chosenB, c.tokenB)
	after.positionB = Add(c.positionB, lengthB)
	after.leftB = Mul(Sub(c.leftB, lengthB), Sub(one, stoppedB))
	drawnB = Where(aliveB, chosenB, none)
	idBV := Iota(g, shapes.Make(dtypes.Int32, c.seenBV.Shape().Dimensions...), 1)
	after.seenBV = LogicalOr(c.seenBV, Equal(idBV, ExpandAxes(drawnB, -1)))
	return drawnB, logProbB, after, next
}

// unrolled repeats token in the graph. It returns the drawn tokens and log-probabilities [B,K], the moving controls and
// the state.
func (d decoder) unrolled(c controls, state []*Node) []*Node {
	ids, logProbs := make([]*Node, d.trip), make([]*Node, d.trip)
	for i := range d.trip {
		ids[i], logProbs[i], c, state = d.token(c, state)
	}
	outputs := append([]*Node{Stack(ids, -1), Stack(logProbs, -1)}, c.moving()...)
	return append(outputs, state...)
}

// loop is unrolled as a loop on the device. It counts and looks at nothing else, so that XLA knows the number of rounds and
// launches one after the other: a condition on the rows would make the host wait for each round to end. Frozen rows cost
// little and change nothing. What does not change goes around
// with the rest, for XLA's loops cannot combine a value from outside with one from inside; it is not copied. On the Go
// backend a loop's body cannot hold a BroadcastToDims before an element-wise operation, which it folds after compiling
// the body and then misses; blocks are full of them.
func (d decoder) loop(g *Graph, c controls, state []*Node) []*Node {
	rows := c.tokenB.Shape().Dim(0)
	carried := append([]*Node{
		Const(g, int32(0)),
		BroadcastToDims(Const(g, int32(-1)), rows, d.trip),
		BroadcastToDims(Const(g, float32(0)), rows, d.trip),
	}, c.moving()...)
	carried = append(carried, state...)
	changing := len(carried)
	carried = append(append(carried, c.optionsBF, c.seedB2, c.stopsBS), d.weights...)
	parameters := func(g *Graph) []*Node {
		nodes := make([]*Node, len(carried))
		for i, node := range carried {
			nodes[i] = Parameter(g, fmt.Sprintf("carried%d", i), node.Shape())
		}
		return nodes
	}
	moving := func(nodes []*Node) controls {
		inside := c
		inside.tokenB, inside.positionB, inside.leftB, inside.seenBV = nodes[3], nodes[4], nodes[5], nodes[6]
		inside.optionsBF, inside.seedB2, inside.stopsBS = nodes[changing], nodes[changing+1], nodes[changing+2]
		return inside
	}
	condition := NewClosure(g, func(g *Graph) []*Node {
		return []*Node{LessThan(parameters(g)[0], Const(g, int32(d.trip)))}
	})
	body := NewClosure(g, func(g *Graph) []*Node {
		nodes := parameters(g)
		inside := d
		inside.weights = nodes[changing+fixedControls:]
		drawnB, logProbB, after, next := inside.token(moving(nodes), nodes[3+movingControls:changing])
		column := Equal(Iota(g, shapes.Make(dtypes.Int32, rows, d.trip), 1), nodes[0])
		put := func(allBK, newB *Node) *Node {
			return Where(column, BroadcastToDims(ExpandAxes(newB, -1), rows, d.trip), allBK)
		}
		outputs := append([]*Node{Add(nodes[0], Const(g, int32(1))), put(nodes[1], drawnB), put(nodes[2], logProbB)}, after.moving()...)
		return append(append(outputs, next...), nodes[changing:]...)
	})
	return While(condition, body, carried...)[1:changing]
}
