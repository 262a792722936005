package xla

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
)

// PutRow is x [B,…] with row [1,…] in place of its row slot, an int32 scalar of 0 … B-1. XLA writes nothing but that row where
// x is donated and its result takes its place; the Go backend, which cannot write into a slice, makes all rows anew.
func PutRow(x, row, slot *Node) *Node {
	g := x.Graph()
	if goForms(x) {
		chosenB := Equal(Iota(g, shapes.Make(dtypes.Int32, x.Shape().Dim(0)), 0), slot)
		return Where(chosenB, BroadcastToShape(row, x.Shape()), x)
	}
	at := []*Node{slot}
	for range x.Rank() - 1 {
		at = append(at, Const(g, int32(0)))
	}
	return DynamicUpdateSlice(x, row, at)
}
