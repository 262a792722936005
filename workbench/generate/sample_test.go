package generate

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/stretchr/testify/require"

	"tandem/tests/testkit"
	"tandem/xla"
)

// draw chooses one token for each of rows rows with the same logits and seeds 0, 1, …, at the position at.
func draw(t testing.TB, device *xla.Device, logits []float64, seen []bool, s Sampling, rows, at int, slowSums bool) (ids []int, logProbs []float64) {
	t.Helper()
	vocab := len(logits)
	options, seeds, positions := make([]float32, 0, rows*optionCount), make([]uint32, 2*rows), make([]int32, rows)
	all, marks := make([]float64, 0, rows*vocab), make([]bool, rows*vocab)
	for row := range rows {
		columns := s.row()
		options = append(options, columns[:]...)
		seeds[2*row], positions[row] = uint32(row), int32(at)
		all = append(all, logits...)
		copy(marks[row*vocab:], seen)
	}
	inputs := []*tensors.Tensor{
		tensors.FromFlatDataAndDimensions(options, rows, optionCount),
		tensors.FromFlatDataAndDimensions(seeds, rows, 2),
		testkit.Int(positions, rows),
		tensors.FromFlatDataAndDimensions(marks, rows, vocab),
		testkit.Float(all, rows, vocab),
	}
	outputs := testkit.Run(t, device, inputs, func(nodes []*graph.Node) []*graph.Node {
		c := controls{optionsBF: nodes[0], seedB2: nodes[1], positionB: nodes[2], seenBV: nodes[3], limited: s.limited(), slowSums: slowSums}
		chosen, logProb := c.choose(nodes[4])
		return []*graph.Node{chosen, logProb}
	})
	for _, id := range outputs[0] {
		ids = append(ids, int(id))
	}
	return ids, outputs[1]
}

// expected is the distribution that Sampling describes, by its definition.
func expected(logits []float64, seen []bool, s Sampling) []float64 {
	scaled := make([]float64, len(logits))
	top := math.Inf(-1)
	for i, logit := range logits {
		if s.RepetitionPenalty > 0 && i < len(seen) && seen[i] {
			if logit > 0 {
				logit /= s.RepetitionPenalty
			} else {
				logit *= s.RepetitionPenalty
			}
		}
		scaled[i] = logit / s.Temperature
		top = max(top, scaled[i])
	}
	mass, total := make([]float64, len(logits)), 0.0
	for i := range scaled {
		mass[i] = math.Exp(scaled[i] - top)
		total += mass[i]
	}
	kept, sum := make([]float64, len(logits)), 0.0
	for i := range mass {
		likelier, above := 0, 0.0
		for j := range mass {
			if scaled[j] > scaled[i] {
				likelier++
				above += mass[j]
			}
		}
		if (s.TopK == 0 || likelier < s.TopK) && (s.TopP == 0 || above < s.TopP*total) && mass[i] >= s.MinP {
			kept[i] = mass[i]
			sum += mass[i]
		}
	}
	for i := range kept {
		kept[i] /= sum
	}
	return kept
}

func TestTokensAreDrawnInProportionToTheKeptProbabilities(t *testing.T) {
	device := testkit.Device(t)
	logits := []float64{1.5, -2, 0.25, 3, 2.5, 0.25, -7, 1.5, 0.125, -0.5, 2.75}
	seen := []bool{false, true, false, true, false, false, false, true}
	for name, s := range map[string]Sampling{
		"all tokens":                       {Temperature: 1},
		"a low temperature":                {Temperature: 0.3},
		"a high temperature":               {Temperature: 5},
		"top-k":                            {Temperature: 1, TopK: 3},
		"top-k that parts equals":          {Temperature: 1, TopK: 4}, // 1.5 occurs twice: both stay
		"top-k larger than the vocab":      {Temperature: 1, TopK: 100},
		"top-p":                            {Temperature: 1, TopP: 0.8},
		"top-p smaller than the likeliest": {Temperature: 1, TopP: 0.01},
		"top-p of one":                     {Temperature: 2, TopP: 1},
		"top-p and temperature":            {Temperature: 2, TopP: 0.6},
		"min-p":                            {Temperature: 1, MinP: 0.2},
		"a repetition penalty":             {Temperature: 1, RepetitionPenalty: 1.7},
		"everything at once":               {Temperature: 1.3, TopK: 6, TopP: 0.9, MinP: 0.02, RepetitionPenalty: 1.2},
	} {
		for _, slow := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				const rows = 20_000
				want := expected(logits, seen, s)
				if s.RepetitionPenalty == 0 {
					want = expected(logits, nil, s)
				}
				ids, logProbs := draw(t, device, logits, seen, s, rows, 11, slow)
				counts := make([]float64, len(logits))
				for _, id := range ids {
					counts[id]++
				}
				for id, p := range want {
					if p == 0 {
						require.Zero(t, counts[id], "token %d must not be drawn", id)
						continue
					}
					require.InDelta(t, p, counts[id]/rows, 5*math.Sqrt(p*(1-p)/rows)+1e-9, "token %d", id)
				}
				model := expected(logits, nil, Sampling{Temperature: 1})
				for row := range 50 {
					require.InDelta(t, math.Log(model[ids[row]]), logProbs[row], 1e-5)
				}
			})
		}
	}
}

func TestTheLogProbabilityOfALargeVocabularyKeepsItsDigits(t *testing.T) {
	logits := testkit.Random(rand.New(rand.NewPCG(1, 2)), 1<<16, 1e-4)
	ids, logProbs := draw(t, testkit.Device(t), logits, nil, Sampling{}, 1, 3, true)
	var sum float64
	for _, logit := range logits {
		sum += math.Exp(logit)
	}
	require.InDelta(t, logits[ids[0]]-math.Log(sum), logProbs[0], 1e-5)
}

func TestTheLikeliestTokenWithTheLowestIDIsTakenWithoutATemperature(t *testing.T) {
	device := testkit.Device(t)
	for name, s := range map[string]Sampling{"zero value": {}, "with limits": {TopK: 5, TopP: 0.3, MinP: 0.5}, "top-k of one": {Temperature: 1, TopK: 1}} {
		t.Run(name, func(t *testing.T) {
			logits := []float64{1, 4, -2, 3, 0}
			if s.Temperature == 0 {
				logits = append(logits, 4, 4)
			}
			ids, _ := draw(t, device, logits, nil, s, 50, 3, false)
			for _, id := range ids {
				require.Equal(t, 1, id)
			}
		})
	}
	ids, _ := draw(t, device, []float64{1, 4, 2}, []bool{false, true, false}, Sampling{RepetitionPenalty: 3}, 1, 0, false)
	require.Equal(t, 2, ids[0], "the penalty also counts without a temperature")
}

// noiseOf gives the noise of rows with the given seeds and positions.
func noiseOf(t testing.TB, device *xla.Device, seeds []uint64, positions []int32, vocab int) []float64 {
	t.Helper()
	words := make([]uint32, 0, 2*len(seeds))
	for _, seed := range seeds {
		words = append(words, uint32(seed), uint32(seed>>32))
	}
	inputs := []*tensors.Tensor{tensors.FromFlatDataAndDimensions(words, len(seeds), 2), testkit.Int(positions, len(seeds))}
	return testkit.Run(t, device, inputs, func(nodes []*graph.Node) []*graph.Node {
		return []*graph.Node{gumbel(nodes[0], nodes[1], vocab)}
	})[0]
}

func TestNoiseDependsOnSeedPositionAndTokenAlone(t *testing.T) {
	device := testkit.Device(t)
	const vocab = 64
	alone := noiseOf(t, device, []uint64{7}, []int32{5}, vocab)
	among := noiseOf(t, device, []uint64{3, 7, 7, 7 << 32, 8}, []int32{5, 5, 6, 5, 5}, 2*vocab)
	require.Equal(t, alone, among[2*vocab:3*vocab], "the same in a larger batch and vocabulary")
	for _, row := range []int{0, 2, 3, 4} {
		different := among[row*2*vocab:][:vocab]
		for i := range alone {
			require.NotEqual(t, alone[i], different[i], "row %d token %d", row, i)
		}
	}
}

func TestNoiseIsGumbelDistributedAndUncorrelatedAcrossSeedsPositionsAndTokens(t *testing.T) {
	device := testkit.Device(t)
	const rows, vocab = 200, 500
	for name, of := range map[string]func(row int) (uint64, int32){
		"seeds":     func(row int) (uint64, int32) { return uint64(row), 4 },
		"positions": func(row int) (uint64, int32) { return 1, int32(row) },
	} {
		t.Run(name, func(t *testing.T) {
			seeds, positions := make([]uint64, rows), make([]int32, rows)
			for row := range rows {
				seeds[row], positions[row] = of(row)
			}
			noise := noiseOf(t, device, seeds, positions, vocab)
			mean, variance := 0.5772156649, math.Pi*math.Pi/6
			var sum, square, across, along float64
			for i, value := range noise {
				z := value - mean
				sum += z
				square += z * z
				if i%vocab > 0 {
					along += z * (noise[i-1] - mean)
				}
				if i >= vocab {
					across += z * (noise[i-vocab] - mean)
				}
			}
			n := float64(len(noise))
			require.InDelta(t, 0, sum/n, 5*math.Sqrt(variance/n))
			// The fourth central moment of a Gumbel variable is 27/5 of its squared variance.
			require.InDelta(t, variance, square/n, 5*variance*math.Sqrt(4.4/n))
			require.InDelta(t, 0, along/n, 5*variance/math.Sqrt(n))
			require.InDelta(t, 0, across/n, 5*variance/math.Sqrt(n))
		})
	}
}

func TestSamplingOutOfRangeIsRefused(t *testing.T) {
	for want, s := range map[string]Sampling{
		"sampling: temperature -1: must lie between 0 and 100":                                {Temperature: -1},
		"sampling: temperature NaN: must lie between 0 and 100":                               {Temperature: math.NaN()},
		"sampling: top_k -1: must lie between 0 and 16777216":                                 {TopK: -1},
		"sampling: top_p 1.5: must lie between 0 and 1":                                       {TopP: 1.5},
		"sampling: min_p 2: must lie between 0 and 1":                                         {MinP: 2},
		"sampling: repetition_penalty -2: must lie between 0 and 100":                         {RepetitionPenalty: -2},
		"sampling: repetition_penalty 1e-45: must be 0 for none, or lie between 0.01 and 100": {RepetitionPenalty: 1e-45},
	} {
		require.EqualError(t, s.Validate(), want)
	}
	require.NoError(t, Sampling{Temperature: 1, TopK: 3, TopP: 1, MinP: 1, RepetitionPenalty: 1}.Validate())
}

func TestChunksCoverEveryLength(t *testing.T) {
	o := Options{Chunks: []int{3, 8}}
	for left, want := range map[int]int{1: 3, 3: 3, 4: 3, 7: 3, 8: 8, 100: 8} {
		require.Equal(t, want, o.chunk(left), "%d left", left)
	}
}
