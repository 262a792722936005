package ref

// ScanInputs are the operands of Scan: B batch, T time, I inner channels, N states.
type ScanInputs struct {
	U, Delta, Z Array // [B,T,I]; Delta is δ, before bias and softplus
	A           Array // [I,N], negative
	B, C        Array // [B,T,N]
	D, Bias     Array // [I]
	H0          Array // [B,I,N], the state before the row; absent is zero
	// Documents [B,T] numbers the document of each token; one that starts inside a row starts from a zero state. The
	// row's first document goes on from H0. nil is one document a row.
	Documents []int32
	// Lengths [B] is the number of real tokens of each row; nil is T.
	Lengths []int32
}

// Scan is the selective scan (Gu & Dao 2023, arXiv:2312.00752, algorithm 2) with the skip and the gate around it, one
// channel at a time:
//
//	Δ = softplus(δ_t + Bias);  h ← exp(Δ·A)·h + Δ·B_t·u_t;  y_t = (C_t·h + D·u_t)·silu(z_t)
//
// It returns y [B,T,I] and the state after the last real token of each row [B,I,N].
func Scan(t *Tape, in ScanInputs) (y, h Array) {
	in.A.expectRank("A", "inner", "states")
	in.U.expectRank("u", "batch", "time", "inner")
	batch, time, inner, states := in.U.shape[0], in.U.shape[1], in.A.shape[0], in.A.shape[1]
	for name, token := range map[string]Array{"u": in.U, "δ": in.Delta, "z": in.Z} {
		token.expect(name, batch, time, inner)
	}
	in.B.expect("B", batch, time, states)
	in.C.expect("C", batch, time, states)
	in.D.expect("D", inner)
	in.Bias.expect("bias", inner)
	if in.H0.absent() {
		in.H0 = t.zeros(batch, inner, states)
	}
	in.H0.expect("h₀", batch, inner, states)

	y, h = t.zeros(batch, time, inner), t.zeros(batch, inner, states)
	row := newRows(batch, time, in.Documents, in.Lengths)
	for b := range batch {
		for i := range inner {
			state := h.at(b, i)
			copy(state, in.H0.at(b, i))
			for at := range row.length(b) {
				if at > 0 && row.documentStart(b, at) == at {
					copy(state, t.zeros(states).entries)
				}
				y.at(b, at)[i] = t.scanToken(in, b, at, i, state)
			}
		}
	}
	return y, h
}

// scanToken moves the state of one channel [N] over one token and returns the channel's output.
func (t *Tape) scanToken(in ScanInputs, b, at, i int, state []scalar) scalar {
	u, z := in.U.at(b, at)[i], in.Z.at(b, at)[i]
	delta := t.softplus(t.add(in.Delta.at(b, at)[i], in.Bias.entries[i]))
	for n, bn := range in.B.at(b, at) {
		kept := t.multiply(t.exp(t.multiply(delta, in.A.at(i)[n])), state[n])
		state[n] = t.add(kept, t.multiply(t.multiply(delta, bn), u))
	}
	y := t.add(t.dot(in.C.at(b, at), state), t.multiply(in.D.entries[i], u))
	return t.multiply(y, t.silu(z))
}
