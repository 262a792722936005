package train

import "math"

// Rates are the factors and constants of one step.
type Rates struct {
	// LR multiplies every learning rate.
	LR float64
	// Momentum is Muon's.
	Momentum float64
	// Decay is Muon's weight decay.
	Decay float64
}

// momentumRise is the same for a run of any length: a short one learns best with little momentum to its end. Reaching
// 0.95 after a tenth of 300 steps instead costs T12 3.6 % in bits per byte (docs/LOG.md, 2026-11-29).
const momentumRise = 300

// At gives the rates of a step, from 0. The learning rate rises linearly to LRScale over Warmup steps, stays, and falls
// linearly to FinalLR of it over the last Warmdown share. Muon's momentum rises from 0.85 to 0.95 over momentumRise steps.
// Weight decay falls by a cosine to zero.
func (o Options) At(step int) Rates {
	steps := float64(o.Steps)
	rates := Rates{LR: 1, Momentum: 0.95, Decay: o.WeightDecay * 0.5 * (1 + math.Cos(math.Pi*float64(step)/steps))}
	if step < o.Warmup {
		rates.LR = float64(step+1) / float64(o.Warmup)
	} else if left := (steps - float64(step)) / max(1, math.Round(o.Warmdown*steps)); left < 1 {
		rates.LR = left + (1-left)*o.FinalLR
	}
	rates.LR *= o.LRScale
	if step < momentumRise {
		rates.Momentum = 0.85 + 0.10*float64(step)/momentumRise
	}
	return rates
}

// rateColumns is the width of the table that the compiled step looks its rates up in.
const rateColumns = 3

// rateTable lists the rates of every step, [Steps, rateColumns] row-major: the schedule is Go code alone, and reaches
// the device once.
func (o Options) rateTable() []float32 {
	table := make([]float32, 0, o.Steps*rateColumns)
	for step := range o.Steps {
		rates := o.At(step)
		table = append(table, float32(rates.LR), float32(rates.Momentum), float32(rates.Decay))
	}
	return table
}
