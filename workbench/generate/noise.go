package generate

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
)

// gumbel draws noise that makes argmax(ln p + noise) a draw from p (the Gumbel-max trick; Maddison et al. 2014,
// arXiv:1411.0030): float32 [B,V]. A value depends on the row's seed, the token's position and the token id alone, so
// neighbours, batch sizes and the number of tokens a trip change nothing. seedB2 are the low and high words of the seed.
//
// The scalars here are made with Const: GoMLX's ...Scalar helpers share theirs between a loop's body and the rest of the
// graph, which it then refuses.
func gumbel(seedB2, positionB *Node, vocab int) *Node {
	g := seedB2.Graph()
	word := func(i int) *Node { return SliceAxis(seedB2, 1, AxisRange(i, i+1)) }
	positionB1 := ExpandAxes(ConvertDType(positionB, dtypes.Uint32), -1)
	first := scramble(BitwiseXor(word(0), scramble(Add(positionB1, Const(g, uint32(0x9e3779b9))))))
	second := scramble(BitwiseXor(word(1), scramble(Add(first, positionB1))))

	id1V := Iota(g, shapes.Make(dtypes.Uint32, 1, vocab), 1)
	bitsBV := scramble(Add(scramble(BitwiseXor(id1V, first)), second))
	// uniform = (bits + ½)/2³², kept below 1. Small values keep all their digits, and they decide who wins.
	uniform := Mul(Add(ConvertDType(bitsBV, dtypes.Float32), Const(g, float32(0.5))), Const(g, float32(1.0/(1<<32))))
	uniform = Min(uniform, Const(g, float32(1-1.0/(1<<24))))
	return Neg(Log(Neg(Log1P(Neg(uniform)))))
}

// scramble is a bijection of uint32 in which every input bit flips each output bit with probability close to ½: the
// constants are Chris Wellons' lowbias32 (nullprogram.com/blog/2018/07/31).
func scramble(x *Node) *Node {
	g := x.Graph()
	shifted := func(bits uint32) *Node { return BitwiseXor(x, BitwiseShiftRightLogical(x, Const(g, bits))) }
	x = shifted(16)
	x = Mul(x, Const(g, uint32(0x7feb352d)))
	x = shifted(15)
	x = Mul(x, Const(g, uint32(0x846ca68b)))
	return shifted(16)
}
