package ref

import (
	"math"
	"math/cmplx"
)

// TransformerConfig is the options that the weights' shapes do not already say, beside the sizes they must agree with.
type TransformerConfig struct {
	Heads, KVHeads, HeadDim int     // H, G and E; query head i reads key head i/(H/G)
	RopeBase                float64 // the base of RoPE's frequencies
	NormEps                 float64 // added to the mean square
	MaskDocuments           bool    // documents of a row do not see each other
}

// TransformerWeights are the block's weights, matrices [in,out]: D width, F hidden.
type TransformerWeights struct {
	Query      Array // [D,H·E]
	Key, Value Array // [D,G·E]
	Output     Array // [H·E,D]
	Up, Down   Array // [D,F] and [F,D]
}

// Cache is the keys (after RoPE and norm) and values of the tokens so far, [B,C,G,E] each.
type Cache struct{ Keys, Values Array }

// Transformer is the T block on x [B,T,D]: x + attention(norm x), then x + mlp(norm x), token by token as a decoder runs
// it. Queries and keys are rotated, then normalised. cache (nil is empty) holds the tokens before x, the same number in
// every row, which the first document of each row continues; the cache returned holds x's tokens too. Documents and
// lengths are those of ScanInputs.
func Transformer(t *Tape, config TransformerConfig, w TransformerWeights, x Array, cache *Cache, documents, lengths []int32) (Array, Cache) {
	x.expectRank("x", "batch", "time", "width")
	batch, time, width := x.shape[0], x.shape[1], x.shape[2]
	w.Query.expect("query projection", width, config.Heads*config.HeadDim)
	w.Key.expect("key projection", width, config.KVHeads*config.HeadDim)
	w.Value.expect("value projection", width, config.KVHeads*config.HeadDim)
	w.Output.expect("output projection", config.Heads*config.HeadDim, width)
	if !config.MaskDocuments {
		documents = nil
	}
	before := 0
	if cache != nil {
		cache.Keys.expectRank("cached keys", "batch", "capacity", "kv heads", "head dim")
		before = cache.Keys.shape[1]
		cache.Keys.expect("cached keys", batch, before, config.KVHeads, config.HeadDim)
		cache.Values.expect("cached values", batch, before, config.KVHeads, config.HeadDim)
	}
	next := Cache{t.zeros(batch, before+time, config.KVHeads, config.HeadDim), t.zeros(batch, before+time, config.KVHeads, config.HeadDim)}
	row := newRows(batch, time, documents, lengths)
	y := t.zeros(batch, time, width)
	for b := range batch {
		if cache != nil {
			copy(next.Keys.at(b), cache.Keys.at(b))
			copy(next.Values.at(b), cache.Values.at(b))
		}
		for at := range row.length(b) {
			from := 0
			if start := row.documentStart(b, at); start > 0 {
				from = before + start
			}
			position := before + at
			normed := t.norm(x.at(b, at), config.NormEps)
			copy(next.Keys.at(b, position), t.heads(t.dense(normed, w.Key), config, position))
			copy(next.Values.at(b, position), t.dense(normed, w.Value))
			attended := t.attend(config, t.heads(t.dense(normed, w.Query), config, position), next, b, from, position)
			token := t.addAll(x.at(b, at), t.dense(attended, w.Output))
			copy(y.at(b, at), t.mlp(token, w.Up, w.Down, config.NormEps))
		}
	}
	return y, next
}

// heads rotates and then normalises each head of x.
func (t *Tape) heads(x []scalar, config TransformerConfig, position int) []scalar {
	var y []scalar
	for ; len(x) > 0; x = x[config.HeadDim:] {
		y = append(y, t.norm(t.rotate(x[:config.HeadDim], position, config.RopeBase), config.NormEps)...)
	}
	return y
}

// rotate is RoPE (Su et al. 2021, arXiv:2104.09864): channels j and j+E/2 are the parts of a complex number, which is
// turned clockwise by position·base^(-2j/E).
func (t *Tape) rotate(x []scalar, position int, base float64) []scalar {
	half := len(x) / 2
	y := make([]scalar, len(x))
	for j := range half {
		angle := float64(position) / math.Pow(base, float64(j)/float64(half))
		turn := cmplx.Rect(1, -angle)
		pair := []scalar{x[j], x[j+half]}
		y[j] = t.weighted(pair, []float64{real(turn), -imag(turn)})
		y[j+half] = t.weighted(pair, []float64{imag(turn), real(turn)})
	}
	return y
}

// attend is softmax(q·k/√E)·v over the cached tokens from … to of row b, for every query head.
func (t *Tape) attend(config TransformerConfig, query []scalar, cache Cache, b, from, to int) []scalar {
	var y []scalar
	for h := range config.Heads {
		q := query[h*config.HeadDim : (h+1)*config.HeadDim]
		g := h * config.KVHeads / config.Heads
		scores := make([]scalar, 0, to-from+1)
		for at := from; at <= to; at++ {
			scores = append(scores, t.scale(t.dot(q, cache.Keys.at(b, at, g)), 1/math.Sqrt(float64(config.HeadDim))))
		}
		weights := t.softmax(scores)
		for e := range config.HeadDim {
			channel := make([]scalar, len(weights))
			for i := range channel {
				channel[i] = cache.Values.at(b, from+i, g)[e]
			}
			y = append(y, t.dot(weights, channel))
		}
	}
	return y
}
