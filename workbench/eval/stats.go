package eval

import (
	"math"
	"math/rand/v2"
	"slices"
)

// z95 is the normal distribution's quantile of a two-sided interval of 95 %.
const z95 = 1.959963984540054

// resamples is the number of a bootstrap.
const resamples = 2000

// Interval holds a value with 95 % confidence.
type Interval struct {
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// Wilson is the interval of a proportion (Wilson 1927, "Probable Inference"); unlike the normal approximation it stays
// within 0…1 and is not empty where all or none were correct.
func Wilson(correct, all int) Interval {
	if all == 0 {
		return Interval{0, 1}
	}
	n := float64(all)
	p := float64(correct) / n
	middle := (p + z95*z95/(2*n)) / (1 + z95*z95/n)
	half := z95 / (1 + z95*z95/n) * math.Sqrt(p*(1-p)/n+z95*z95/(4*n*n))
	return Interval{max(0, middle-half), min(1, middle+half)}
}

// ratio is the sum of values over the sum of weights.
func ratio(outcomes []Outcome) float64 {
	var value, weight float64
	for _, o := range outcomes {
		value, weight = value+o.Value, weight+o.Weight
	}
	return value / weight
}

// bootstrap is the percentile interval of ratio over resampled examples (Efron 1979).
func bootstrap(outcomes []Outcome, seed uint64) Interval {
	drawn := make([]Outcome, len(outcomes))
	return percentile(seed, func(random *rand.Rand) float64 {
		for i := range drawn {
			drawn[i] = outcomes[random.IntN(len(outcomes))]
		}
		return ratio(drawn)
	})
}

// percentile is the middle 95 % of what a statistic gives on random draws.
func percentile(seed uint64, statistic func(*rand.Rand) float64) Interval {
	random := rand.New(rand.NewPCG(seed, 0xb007))
	values := make([]float64, resamples)
	for i := range values {
		values[i] = statistic(random)
	}
	slices.Sort(values)
	at := func(share float64) float64 { return values[int(share*float64(len(values)-1)+0.5)] }
	return Interval{at(0.025), at(0.975)}
}

// PassAtK is the unbiased estimate of the probability that one of k samples is correct, if c of n were: 1 - C(n-c,k)/C(n,k)
// (Chen et al. 2021, arXiv:2107.03374, eq. 1). k may not exceed n.
func PassAtK(n, c, k int) float64 {
	if n-c < k {
		return 1
	}
	fail := 1.0
	for i := n - c + 1; i <= n; i++ {
		fail *= 1 - float64(k)/float64(i)
	}
	return 1 - fail
}

// McNemar is the exact two-sided p-value that two models are equally good, of the examples that only the first and only
// the second had right (McNemar 1947): the binomial test of a fair coin.
func McNemar(onlyFirst, onlySecond int) float64 {
	n, least := onlyFirst+onlySecond, min(onlyFirst, onlySecond)
	sum := 0.0
	for k := 0; k <= least; k++ {
		sum += math.Exp(logChoose(n, k) - float64(n)*math.Ln2)
	}
	return min(1, 2*sum)
}

func logChoose(n, k int) float64 {
	lg := func(x int) float64 { value, _ := math.Lgamma(float64(x) + 1); return value }
	return lg(n) - lg(k) - lg(n-k)
}
