package probe_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"
	"github.com/stretchr/testify/require"

	"tandem/models"
	"tandem/tests/testkit"
	"tandem/workbench/eval/probe"
)

// solvers answer a target from the tokens up to it, by another way than the sequences are made.
var solvers = map[string]func(seen []int32) int32{
	"recall": func(seen []int32) int32 { return seen[slices.Index(seen, seen[len(seen)-1])+1] },
	"copying": func(seen []int32) int32 {
		first := 0
		if seen[0] == 0 { // of an odd length
			first = 1
		}
		separator := first + slices.Index(seen[first:], 0)
		return seen[first+len(seen)-1-separator]
	},
	"induction": func(seen []int32) int32 {
		return seen[slices.Index(seen, 0)+1]
	},
	"needle": func(seen []int32) int32 {
		key := seen[len(seen)-1]
		for at := range seen {
			if seen[at] == 0 && seen[at+1] == key {
				return seen[at+2]
			}
		}
		return -1
	},
}

func TestEveryTargetFollowsFromTheTokensBeforeIt(t *testing.T) {
	require.Len(t, solvers, len(probe.Probes))
	for _, p := range probe.Probes {
		t.Run(p.Name, func(t *testing.T) {
			for length := p.Shortest; length < 300; length++ {
				s := p.Make(rand.New(rand.NewPCG(1, uint64(length))), length)
				require.Len(t, s.Tokens, length)
				require.Len(t, s.Targets, length)
				asked := 0
				for at, target := range s.Targets {
					require.True(t, s.Tokens[at] >= 0 && int(s.Tokens[at]) < p.Vocab && int(target) < p.Vocab)
					if target < 0 {
						continue
					}
					require.Equal(t, solvers[p.Name](s.Tokens[:at+1]), target, "length %d, target %d: %v", length, at, s.Tokens)
					require.True(t, s.Depths[asked] >= 0 && s.Depths[asked] < float64(at+1)/float64(length))
					asked++
				}
				require.Positive(t, asked)
				require.Len(t, s.Depths, asked)
			}
		})
	}
}

func TestLessonsAreOfManyLengthsAndAskNothingBehindTheirEnd(t *testing.T) {
	const count, length = 200, 64
	for _, p := range probe.Probes {
		tokens, targets := p.Lesson(1, 2, count, length)
		again, _ := p.Lesson(1, 2, count, length)
		require.Equal(t, tokens, again)
		require.Len(t, tokens, count*length)
		require.Len(t, targets, count*length)
		ends := map[int]int{}
		for row := range count {
			tokens, targets := tokens[row*length:][:length], targets[row*length:][:length]
			last := -1
			for at, target := range targets {
				if target >= 0 {
					require.Equal(t, solvers[p.Name](tokens[:at+1]), target, "%s: row %d, target %d: %v", p.Name, row, at, tokens)
					last = at
				}
			}
			require.GreaterOrEqual(t, last, 0, "%s: row %d asks nothing", p.Name, row)
			ends[last]++
		}
		require.Greater(t, len(ends), 20, "%s: lengths", p.Name)
	}
}

func TestEqualSeedsGiveEqualBatches(t *testing.T) {
	for _, p := range probe.Probes {
		first, targets, _ := p.Batch(1, 2, 3, 64)
		second, again, _ := p.Batch(1, 2, 3, 64)
		other, _, _ := p.Batch(1, 3, 3, 64)
		require.Equal(t, first, second)
		require.Equal(t, targets, again)
		require.NotEqual(t, first, other)
	}
}

func TestModelsToCompareHaveEqualSize(t *testing.T) {
	for _, p := range probe.Probes {
		all, err := p.Equal([]models.Pattern{"TTTT", "MMMM", "TMTM"}, 128, 64)
		require.NoError(t, err)
		for _, model := range all {
			require.InEpsilon(t, all[0].Parameters(), model.Parameters(), 0.07, model.Config.Pattern)
		}
	}
	_, err := probe.Probes[0].Equal([]models.Pattern{"T"}, 140, 64)
	require.EqualError(t, err, "probe recall: width 140: must be a multiple of 16")
}

func TestAModelThatKnowsNothingGuesses(t *testing.T) {
	device := testkit.Device(t)
	p := probe.Probes[0]
	all, err := p.Equal([]models.Pattern{"TM"}, 16, 64)
	require.NoError(t, err)
	var weights []*tensors.Tensor
	for i, values := range all[0].Init(1) {
		weights = append(weights, tensors.FromFlatDataAndDimensions(values, all[0].Weights()[i].Shape...))
	}
	a, err := p.Measure(context.Background(), device, all[0], weights, 64, 40)
	require.NoError(t, err)
	require.Equal(t, 40*4, a.All)
	require.Less(t, a.Right, 20)
	all40 := 0
	for _, share := range a.ByDepth {
		all40 += share.All
	}
	require.Equal(t, a.All, all40)

	a, err = p.Measure(context.Background(), device, all[0], weights, 64, 130)
	require.NoError(t, err)
	require.Equal(t, 130*4, a.All, "the last batch is not counted whole")

	_, err = p.Measure(context.Background(), device, all[0], weights, 128, 1)
	require.EqualError(t, err, "probe recall: length 128 exceeds the model's context 64")
}

func TestSettingsThatCannotBeAreRefused(t *testing.T) {
	for want, s := range map[string]probe.Settings{
		`probe "chess": unknown; there are recall, copying, induction, needle`: {Probes: []string{"chess"}},
		"probe needle: length 16 must lie between 32 and 1048576":              {Probes: []string{"needle"}, Length: 32},
		"probes: steps -1: must lie between 1 and 1073741824":                  {Steps: -1},
	} {
		require.EqualError(t, s.Validate(), want)
	}
	require.NoError(t, probe.Settings{}.Validate())
}

func TestAStudyIsATable(t *testing.T) {
	s := probe.Study{Backend: "go", Compute: "float32", Settings: probe.Settings{
		Patterns: []string{"T2", "M2"}, Probes: []string{"needle"}, Length: 64, Lengths: []int{128, 64}, Steps: 10, Batch: 4, Examples: 8, Seeds: 2}}
	for seed, accuracy := range []float64{0.5, 0.75} {
		s.Points = append(s.Points, probe.Point{Probe: "needle", Pattern: "T2", Width: 64, Parameters: 1000, Seed: uint64(seed), Length: 64, Accuracy: accuracy, ByDepth: [4]probe.Share{{1, 2}}})
	}
	folder := t.TempDir()
	require.NoError(t, s.Save(folder))
	table, err := os.ReadFile(filepath.Join(folder, "study.md"))
	require.NoError(t, err)
	require.Contains(t, string(table), "| pattern | width | parameters | 64 (trained) | 128 |\n|---|---|---|---|---|\n| T2 | 64 | 1000 | 0.625 (0.500 to 0.750) | - |\n| M2 | - | - | - | - |\n")
	require.Contains(t, string(table), "| T2 | 64 | 0.500 | - | - | - |")
	lengths, accuracies := s.Curve("needle", "T2")
	require.Equal(t, []float64{64}, lengths)
	require.Equal(t, []float64{0.625}, accuracies)
}

func Example() {
	p, err := probe.Find([]string{"copying"})
	if err != nil {
		fmt.Println(err)
		return
	}
	s := p[0].Make(rand.New(rand.NewPCG(1, 1)), 8)
	fmt.Println(s.Tokens)
	fmt.Println(s.Targets)
	// Output:
	// [25 12 13 29 0 25 12 13]
	// [-1 -1 -1 -1 25 12 13 29]
}
