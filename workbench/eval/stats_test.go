package eval_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"tandem/workbench/eval"
)

func TestWilsonGivesTheTextbookIntervals(t *testing.T) {
	for _, test := range []struct {
		correct, all int
		low, high    float64
	}{{8, 10, 0.4902, 0.9433}, {0, 10, 0, 0.2775}, {10, 10, 0.7225, 1}, {0, 0, 0, 1}, {500, 1000, 0.4691, 0.5309}} {
		got := eval.Wilson(test.correct, test.all)
		require.InDelta(t, test.low, got.Low, 1e-4)
		require.InDelta(t, test.high, got.High, 1e-4)
	}
}

func TestPassAtKIsTheShareOfDrawsWithARightSample(t *testing.T) {
	// By counting all choices of k out of n samples.
	share := func(n, c, k int) float64 {
		all, with := 0, 0
		for set := range 1 << n {
			size, right := 0, false
			for i := range n {
				if set>>i&1 == 1 {
					size++
					right = right || i < c
				}
			}
			if size == k {
				all++
				if right {
					with++
				}
			}
		}
		return float64(with) / float64(all)
	}
	for n := 1; n <= 8; n++ {
		for c := 0; c <= n; c++ {
			for k := 1; k <= n; k++ {
				require.InDelta(t, share(n, c, k), eval.PassAtK(n, c, k), 1e-12, "n %d, c %d, k %d", n, c, k)
			}
		}
	}
}

func TestTheErrorOfAMeanIsThatOfIndependentTasks(t *testing.T) {
	const z = 1.959963984540054
	task := func(value, baseline, deviation float64) eval.Result {
		centred := (value - baseline) / (1 - baseline)
		return eval.Result{Baseline: &baseline, Centred: &centred, Interval: eval.Interval{Low: value - z*deviation, High: value + z*deviation}}
	}
	mean, ok := eval.MeanOf("CORE", []eval.Result{task(0.3, 0, 0.03), task(0.75, 0.5, 0.02), {Task: "not centred"}})
	require.True(t, ok)
	require.Equal(t, 2, mean.Tasks)
	require.InDelta(t, 0.4, mean.Value, 1e-12)
	require.InDelta(t, 0.4-z*0.05/2, mean.Interval.Low, 1e-12, "0.03 and, centred, 0.04 make 0.05")
	require.InDelta(t, 0.4+z*0.05/2, mean.Interval.High, 1e-12)
}

func TestMcNemarIsTheTestOfAFairCoin(t *testing.T) {
	require.InDelta(t, 0.021484375, eval.McNemar(1, 9), 1e-12)
	require.InDelta(t, 1, eval.McNemar(5, 5), 1e-12)
	require.InDelta(t, 1, eval.McNemar(0, 0), 1e-12)
	require.InDelta(t, math.Pow(0.5, 19), eval.McNemar(0, 20), 1e-12)
}

func TestIntervalsOfComparisonsHoldTheTruthAboutAsOftenAsTheySay(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	const truth, trials = 0.1, 60
	held := 0
	for range trials {
		first, second := eval.Result{Task: "x"}, eval.Result{Task: "x"}
		for i := range 200 {
			outcome := func(p float64) eval.Outcome {
				o := eval.Outcome{ID: string(rune('a' + i)), Weight: 1}
				if random.Float64() < p {
					o.Value = 1
				}
				return o
			}
			first.Outcomes, second.Outcomes = append(first.Outcomes, outcome(0.6)), append(second.Outcomes, outcome(0.6-truth))
		}
		c := eval.Compare(&eval.Report{Results: []eval.Result{first}}, &eval.Report{Results: []eval.Result{second}}).Tasks[0]
		require.Equal(t, 200, c.Pairs)
		if c.Interval.Low <= truth && truth <= c.Interval.High {
			held++
		}
	}
	require.GreaterOrEqual(t, held, trials*85/100)
}
