package eval_test

import (
	"context"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"tandem/models"
	"tandem/tests/testkit"
	"tandem/workbench/eval"
)

// quizzes are multiple-choice examples of the sizes of CORE's with ten shots: four options of 4 to 15 tokens after a
// context of 100 to 400.
func quizzes(random *rand.Rand, count, vocab int) (examples [][]eval.Query) {
	tokens := func(n int) []int32 {
		drawn := make([]int32, n)
		for i := range drawn {
			drawn[i] = random.Int32N(int32(vocab))
		}
		return drawn
	}
	for range count {
		var queries []eval.Query
		context := tokens(100 + random.IntN(300))
		for range 4 {
			queries = append(queries, eval.Query{Context: context, Continuation: tokens(4 + random.IntN(12))})
		}
		examples = append(examples, queries)
	}
	return examples
}

// BenchmarkMultipleChoice compares ways to score the same examples: each option alone, each example alone with what its
// options share run once, and all in batches. On a GPU: TANDEM_TEST_BACKEND=cuda go test -run xxx -bench MultipleChoice ./workbench/eval
func BenchmarkMultipleChoice(b *testing.B) {
	for _, pattern := range []models.Pattern{"TTTT", "MMMM", "TMTM"} {
		count, config := 32, models.Config{Width: 128, Vocab: 2048, Context: 512}
		if os.Getenv(testkit.BackendVariable) == "cuda" { // a model that is worth a GPU
			count, config.Width, config.Vocab = 128, 1024, 32768
			pattern += pattern + pattern
		}
		f := newFixture(b, pattern, config)
		f.device.Compute = f.native
		examples := quizzes(rand.New(rand.NewPCG(1, 1)), count, config.Vocab)
		for _, way := range []struct {
			name    string
			size    int
			options eval.ScorerOptions
		}{
			{"one option at a time", 1, eval.ScorerOptions{Alone: true}},
			{"one example at a time", 1, eval.ScorerOptions{Tokens: config.Context}}, // room for one context and its options
			{"in batches", len(examples), eval.ScorerOptions{}},
		} {
			b.Run(string(pattern)+"/"+way.name, func(b *testing.B) {
				scorer := f.scorer(b, way.options)
				pass := func() {
					for from := 0; from < len(examples); from += way.size {
						var queries []eval.Query
						for _, example := range examples[from : from+way.size] {
							queries = append(queries, example...)
						}
						_, err := scorer.Score(context.Background(), queries)
						require.NoError(b, err)
					}
				}
				pass() // compiles
				for b.Loop() {
					pass()
				}
				b.ReportMetric(float64(len(examples)*b.N)/b.Elapsed().Seconds(), "examples/s")
			})
		}
	}
}
