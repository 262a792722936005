package ref

import "fmt"

// softplus is ln(1+eˣ). The exponential is only ever taken of a negative number, so that nothing overflows.
func (t *Tape) softplus(x scalar) scalar {
	if t.value(x) > 0 {
		return t.add(x, t.log1p(t.exp(t.negate(x))))
	}
	return t.log1p(t.exp(x))
}

// silu is x/(1+e⁻ˣ), on the left as x·eˣ/(1+eˣ).
func (t *Tape) silu(x scalar) scalar {
	if t.value(x) > 0 {
		return t.divide(x, t.shift(t.exp(t.negate(x)), 1))
	}
	e := t.exp(x)
	return t.divide(t.multiply(x, e), t.shift(e, 1))
}

// softmax is taken relative to the largest element, which changes nothing but the range.
func (t *Tape) softmax(x []scalar) []scalar {
	largest := t.value(x[0])
	for _, element := range x {
		largest = max(largest, t.value(element))
	}
	y := make([]scalar, len(x))
	for i := range x {
		y[i] = t.exp(t.shift(x[i], -largest))
	}
	total := t.sum(y)
	for i := range y {
		y[i] = t.divide(y[i], total)
	}
	return y
}

// norm is RMSNorm without parameters: x/√(Σx²/n + epsilon).
func (t *Tape) norm(x []scalar, epsilon float64) []scalar {
	root := t.sqrt(t.shift(t.scale(t.dot(x, x), 1/float64(len(x))), epsilon))
	y := make([]scalar, len(x))
	for i := range x {
		y[i] = t.divide(x[i], root)
	}
	return y
}

// dense is x·W for W [in,out].
func (t *Tape) dense(x []scalar, wIO Array) []scalar {
	wIO.expectRank("weight matrix", "in", "out")
	wIO.expect("weight matrix", len(x), wIO.shape[1])
	y := make([]scalar, wIO.shape[1])
	column := make([]scalar, len(x))
	for o := range y {
		for i := range x {
			column[i] = wIO.at(i)[o]
		}
		y[o] = t.dot(x, column)
	}
	return y
}

// addAll is x+y.
func (t *Tape) addAll(x, y []scalar) []scalar {
	sum := make([]scalar, len(x))
	for i := range x {
		sum[i] = t.add(x[i], y[i])
	}
	return sum
}

// mlp is x + relu²(norm(x)·Up)·Down. Hidden units at or below zero neither speak nor learn.
func (t *Tape) mlp(x []scalar, up, down Array, epsilon float64) []scalar {
	hidden := t.dense(t.norm(x, epsilon), up)
	for i, unit := range hidden {
		if t.value(unit) > 0 {
			hidden[i] = t.multiply(unit, unit)
		} else {
			hidden[i] = t.constant(0)
		}
	}
	return t.addAll(x, t.dense(hidden, down))
}

// rows reads documents [B,T] (nil: one a row) and lengths [B] (nil: all of T).
type rows struct {
	time               int
	documents, lengths []int32
}

func newRows(batch, time int, documents, lengths []int32) rows {
	if documents != nil && len(documents) != batch*time {
		panic(fmt.Errorf("documents: %d numbers for %d rows of %d tokens; each token needs one", len(documents), batch, time))
	}
	if lengths != nil && len(lengths) != batch {
		panic(fmt.Errorf("lengths: %d for %d rows; each row needs one", len(lengths), batch))
	}
	for b, length := range lengths {
		if length < 0 || int(length) > time {
			panic(fmt.Errorf("length %d of row %d: must lie between 0 and the %d tokens there are", length, b, time))
		}
	}
	return rows{time, documents, lengths}
}

// length is the number of real tokens of row b.
func (r rows) length(b int) int {
	if r.lengths == nil {
		return r.time
	}
	return int(r.lengths[b])
}

// documentStart is the first token of the document that token at of row b belongs to.
func (r rows) documentStart(b, at int) int {
	if r.documents == nil {
		return 0
	}
	row := r.documents[b*r.time : (b+1)*r.time]
	for at > 0 && row[at-1] == row[at] {
		at--
	}
	return at
}
