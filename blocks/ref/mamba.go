package ref

// MambaConfig is the options that the weights' shapes do not already say, beside the sizes that they must agree with.
type MambaConfig struct {
	State, Conv, DtRank int     // N, W and R
	NormEps             float64 // added to the mean square
	ResetDocuments      bool    // documents of a row do not see each other
}

// MambaWeights are the block's weights, matrices [in,out]: D width, I inner, F hidden.
type MambaWeights struct {
	InU, InZ   Array // [D,I]
	ConvWeight Array // [W,I]; the last tap meets the token itself
	ConvBias   Array // [I]
	XProj      Array // [I,R+2N]; columns in the order rank of δ, B, C
	DtProj     Array // [R,I]
	DtBias     Array // [I]
	ALog       Array // [I,N]; A = -exp(ALog)
	D          Array // [I]
	Out        Array // [I,D]
	Up, Down   Array // [D,F] and [F,D]; absent is no MLP
}

func (w MambaWeights) expect(config MambaConfig, width, inner int) {
	w.InU.expect("projection to u", width, inner)
	w.InZ.expect("projection to z", width, inner)
	w.ConvWeight.expect("convolution", config.Conv, inner)
	w.XProj.expect("projection to δ, B and C", inner, config.DtRank+2*config.State)
	w.DtProj.expect("projection of δ", config.DtRank, inner)
	w.ALog.expect("log of A", inner, config.State)
	w.Out.expect("projection out", inner, width)
}

// MambaState is what one call hands to the next.
type MambaState struct {
	Conv Array // [B,W-1,I], the last inputs of the convolution, oldest first
	SSM  Array // [B,I,N]
}

// Mamba is the M block on x [B,T,D]: x + mamba(norm x), then the MLP if its weights are given (Gu & Dao 2023,
// arXiv:2312.00752, section 3.4). It goes on from state (nil is zero), which the first document of each row continues,
// and returns the state after the last real token of each row. If documents are kept apart, the returned window is zero
// where it would reach into an earlier one. Documents and lengths are those of ScanInputs.
func Mamba(t *Tape, config MambaConfig, w MambaWeights, x Array, state *MambaState, documents, lengths []int32) (Array, MambaState) {
	x.expectRank("x", "batch", "time", "width")
	w.ConvBias.expectRank("convolution bias", "inner")
	batch, time, width, inner := x.shape[0], x.shape[1], x.shape[2], w.ConvBias.shape[0]
	w.expect(config, width, inner)
	if state == nil {
		state = &MambaState{Conv: t.zeros(batch, config.Conv-1, inner)}
	}
	state.Conv.expect("window", batch, config.Conv-1, inner)
	if !config.ResetDocuments {
		documents = nil
	}

	row := newRows(batch, time, documents, lengths)
	next := MambaState{Conv: t.zeros(batch, config.Conv-1, inner)}
	in := ScanInputs{
		U: t.zeros(batch, time, inner), Delta: t.zeros(batch, time, inner), Z: t.zeros(batch, time, inner),
		B: t.zeros(batch, time, config.State), C: t.zeros(batch, time, config.State),
		A: t.zeros(inner, config.State), D: w.D, Bias: w.DtBias, H0: state.SSM, Documents: documents, Lengths: lengths,
	}
	for i, logarithm := range w.ALog.entries {
		in.A.entries[i] = t.negate(t.exp(logarithm))
	}
	for b := range batch {
		t.mambaInputs(config, w, x, b, row, in, state.Conv.at(b), next.Conv.at(b))
	}
	mixed, last := Scan(t, in)
	next.SSM = last

	y := t.zeros(batch, time, width)
	for b := range batch {
		for at := range row.length(b) {
			token := t.addAll(x.at(b, at), t.dense(mixed.at(b, at), w.Out))
			if !w.Up.absent() {
				token = t.mlp(token, w.Up, w.Down, config.NormEps)
			}
			copy(y.at(b, at), token)
		}
	}
	return y, next
}

// mambaInputs fills row b of the scan's inputs, walking over its tokens with a window [W-1,I] before them, and leaves
// the window after them in next.
func (t *Tape) mambaInputs(config MambaConfig, w MambaWeights, x Array, b int, row rows, in ScanInputs, window, next []scalar) {
	inner, before := w.ConvBias.shape[0], config.Conv-1
	history := append([]scalar{}, window...) // token t of the row is at before+t
	from := 0                                // the first token in history that the current one may see
	for at := range row.length(b) {
		if start := row.documentStart(b, at); start > 0 {
			from = before + start
		}
		normed := t.norm(x.at(b, at), config.NormEps)
		history = append(history, t.dense(normed, w.InU)...)
		for i := range inner {
			in.U.at(b, at)[i] = t.silu(t.tap(w, history, from, at, i))
		}
		copy(in.Z.at(b, at), t.dense(normed, w.InZ))
		selected := t.dense(in.U.at(b, at), w.XProj)
		copy(in.Delta.at(b, at), t.dense(selected[:config.DtRank], w.DtProj))
		copy(in.B.at(b, at), selected[config.DtRank:config.DtRank+config.State])
		copy(in.C.at(b, at), selected[config.DtRank+config.State:])
	}
	for j := range before {
		if source := row.length(b) + j; source >= from {
			copy(next[j*inner:(j+1)*inner], history[source*inner:(source+1)*inner])
		}
	}
}

// tap is the convolution of channel i whose newest tap lies on token at: history holds tokens [.,I], of which those
// before from count as zero.
func (t *Tape) tap(w MambaWeights, history []scalar, from, at, i int) scalar {
	taps, inner := w.ConvWeight.shape[0], w.ConvWeight.shape[1]
	var inputs, weights []scalar
	for k := range taps {
		if at+k >= from {
			inputs = append(inputs, history[(at+k)*inner+i])
			weights = append(weights, w.ConvWeight.at(k)[i])
		}
	}
	return t.add(w.ConvBias.entries[i], t.dot(inputs, weights))
}
