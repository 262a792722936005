package plot

import (
	"math"
	"strconv"

	gonum "gonum.org/v1/plot"
)

// ticks are at multiples of one, two or five times a power of ten, three to nine of them; where there is no range, there is one.
type ticks struct{}

// Ticks implements gonum's Ticker.
func (ticks) Ticks(low, high float64) (all []gonum.Tick) {
	const most = 8
	if !(high > low) || math.IsInf(high-low, 0) {
		return []gonum.Tick{{Value: low, Label: tickLabel(low)}}
	}
	power := math.Pow(10, math.Floor(math.Log10((high-low)/most)))
	step := power
	for _, factor := range []float64{2, 5, 10} {
		if (high-low)/step > most {
			step = power * factor
		}
	}
	for i := math.Ceil(low / step); i*step <= high && len(all) <= most+1; i++ {
		all = append(all, gonum.Tick{Value: i * step, Label: tickLabel(i * step)})
	}
	return all
}

// doublings are at powers of two, on a logarithmic axis.
type doublings struct{}

// Ticks implements gonum's Ticker.
func (doublings) Ticks(low, high float64) (all []gonum.Tick) {
	for value := math.Exp2(math.Ceil(math.Log2(low))); value <= high; value *= 2 {
		all = append(all, gonum.Tick{Value: value, Label: strconv.FormatFloat(value, 'f', -1, 64)})
	}
	return all
}

// tickLabel writes 12000 as 12k and 20000000 as 20M; smaller numbers have as many digits as it takes.
func tickLabel(value float64) string {
	for _, unit := range []struct {
		from, size float64
		name       string
	}{{1e9, 1e9, "G"}, {1e6, 1e6, "M"}, {1e4, 1e3, "k"}} {
		if math.Abs(value) >= unit.from {
			return strconv.FormatFloat(value/unit.size, 'g', 6, 64) + unit.name
		}
	}
	return strconv.FormatFloat(value, 'g', 6, 64)
}
