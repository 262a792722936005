package lab

import (
	"fmt"
	"math"

	"tandem/blocks/ref"
	"tandem/workbench/plot"
)

// Shown is a call that only shows something.
type Shown struct{ err error }

// Err is why nothing was shown.
func (s *Shown) Err() error { return s.err }

// ShowDecay draws how fast a state forgets: exp(Δ·A·k) is what is left of it after k tokens, for A = -1 and each Δ.
func ShowDecay(deltas ...float64) *Shown {
	if len(deltas) == 0 {
		deltas = []float64{0.01, 0.05, 0.2, 1}
	}
	curves := plot.Curves{Title: "What is left of a state after k tokens", X: "k", Y: "exp(-Δ·k)"}
	table := Table{Heading: []string{"Δ", "tokens until half is left"}}
	for _, delta := range deltas {
		if !(delta > 0) || math.IsInf(delta, 0) {
			return &Shown{fail(fmt.Errorf("show decay: Δ = %g; it is a softplus, so it must be above 0", delta))}
		}
		line := plot.Line{Name: fmt.Sprintf("Δ = %g", delta)}
		for k := range 65 {
			line.X, line.Y = append(line.X, float64(k)), append(line.Y, math.Exp(-delta*float64(k)))
		}
		curves.Lines = append(curves.Lines, line)
		table.Rows = append(table.Rows, []string{fmt.Sprintf("%g", delta), fmt.Sprintf("%.3g", math.Ln2/delta)})
	}
	display.Show(Panel{Picture: curves, Tables: []Table{table}})
	return &Shown{}
}

// The scan that ShowSelection draws: one channel of selectionStates states, whose Δ is selectionLow, and selectionHigh at the
// tokens that it selects.
const (
	selectionTokens = 48
	selectionStates = 8
	selectionLow    = 0.02
	selectionHigh   = 1.5
)

// ShowSelection runs the reference scan on one channel and draws what selection does: Δ is large at the tokens given, so
// that the state takes in their input and lets go of what was there, and small elsewhere, so that it stays as it is.
func ShowSelection(tokens ...int) *Shown {
	if len(tokens) == 0 {
		tokens = []int{8, 28}
	}
	delta, u := make([]float64, selectionTokens), make([]float64, selectionTokens)
	for t := range delta {
		delta[t], u[t] = selectionLow, math.Cos(float64(t)/3)
	}
	for _, t := range tokens {
		if t < 0 || t >= selectionTokens {
			return &Shown{fail(fmt.Errorf("show selection: token %d; there are tokens 0 to %d", t, selectionTokens-1))}
		}
		delta[t] = selectionHigh
	}
	y, states := scanOneChannel(delta, u)
	at := make([]float64, selectionTokens)
	for t := range at {
		at[t] = float64(t)
	}
	display.Show(Panel{
		Picture: plot.Row{
			plot.Curves{Title: "What the channel is given", X: "token", Y: "value", Lines: []plot.Line{{Name: "input u", X: at, Y: u}, {Name: "Δ", X: at, Y: delta}}},
			plot.Heat{Title: "State h", X: "token", Y: "state n, A = -(n+1)", Values: states},
			plot.Curves{Title: "What comes out", X: "token", Y: "value", Lines: []plot.Line{{Name: "output y", X: at, Y: y}}},
		},
		Note: fmt.Sprintf("Δ is %g at the tokens %v and %g elsewhere.", selectionHigh, tokens, selectionLow),
	})
	return &Shown{}
}

// scanOneChannel feeds the reference one token at a time and keeps the state after each: states[n][t].
func scanOneChannel(delta, u []float64) (y []float64, states [][]float64) {
	const gate = 1.2784645427610738 // silu(gate) = 1
	a, ones, state := make([]float64, selectionStates), make([]float64, selectionStates), make([]float64, selectionStates)
	for n := range a {
		a[n], ones[n] = -float64(n+1), 1
		states = append(states, nil)
	}
	token, mix := []int{1, 1, 1}, []int{1, 1, selectionStates}
	for t := range u {
		tape := ref.NewTape()
		out, h := ref.Scan(tape, ref.ScanInputs{
			U: tape.Array(token, u[t:t+1]), Z: tape.Array(token, []float64{gate}),
			Delta: tape.Array(token, []float64{math.Log(math.Expm1(delta[t]))}), // so that its softplus is Δ
			A:     tape.Array([]int{1, selectionStates}, a), B: tape.Array(mix, ones), C: tape.Array(mix, ones),
			D: tape.Array([]int{1}, []float64{0}), Bias: tape.Array([]int{1}, []float64{0}),
			H0: tape.Array([]int{1, 1, selectionStates}, state),
		})
		state = h.Values()
		y = append(y, out.Values()[0])
		for n, value := range state {
			states[n] = append(states[n], value)
		}
	}
	return y, states
}
