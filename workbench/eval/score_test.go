package eval_test

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/stretchr/testify/require"

	"tandem/models"
	"tandem/tests/testkit"
	"tandem/workbench/eval"
)

const vocab = 37

func randomTokens(random *rand.Rand, count int) []int32 {
	tokens := make([]int32, count)
	for i := range tokens {
		tokens[i] = random.Int32N(vocab)
	}
	return tokens
}

// mixedQueries are of all the forms that batches treat differently.
func mixedQueries(random *rand.Rand) []eval.Query {
	var queries []eval.Query
	for range 12 { // several continuations of one context
		context := randomTokens(random, 1+random.IntN(40))
		for range 1 + random.IntN(4) {
			queries = append(queries, eval.Query{Context: context, Continuation: randomTokens(random, 1+random.IntN(9))})
		}
	}
	letters := randomTokens(random, 20)
	for id := range int32(4) { // of one token each
		queries = append(queries, eval.Query{Context: letters, Continuation: []int32{id}})
	}
	shared := randomTokens(random, 3)
	for range 3 { // one continuation of several contexts
		queries = append(queries, eval.Query{Context: randomTokens(random, 25), Continuation: shared})
	}
	random.Shuffle(len(queries), func(i, j int) { queries[i], queries[j] = queries[j], queries[i] })
	return queries
}

func TestScoresInBatchesEqualScoresOneAtATime(t *testing.T) {
	for _, pattern := range []models.Pattern{"TT", "MM", "MT"} {
		t.Run(string(pattern), func(t *testing.T) {
			f := newFixture(t, pattern, models.Config{Width: 16, Vocab: vocab, Context: 64})
			queries := mixedQueries(rand.New(rand.NewPCG(3, 4)))
			ctx := context.Background()
			alone, err := f.scorer(t, eval.ScorerOptions{Alone: true}).Score(ctx, queries)
			require.NoError(t, err)
			for _, tokens := range []int{1, 200, 4096} {
				done := 0
				scorer := f.scorer(t, eval.ScorerOptions{Tokens: tokens, Report: func(d, all int) { require.Greater(t, d, done); done = d }})
				batched, err := scorer.Score(ctx, queries)
				require.NoError(t, err)
				require.Equal(t, len(queries), done)
				for i := range queries {
					require.Equal(t, alone[i].Greedy, batched[i].Greedy, "query %d", i)
					testkit.Close(t, "log-probabilities", alone[i].LogProbs, batched[i].LogProbs, testkit.Tolerances[dtypes.Float32].Forward)
				}
			}
		})
	}
}

func TestScoresAreThoseOfTheModel(t *testing.T) {
	f := newFixture(t, "MT", models.Config{Width: 16, Vocab: vocab, Context: 64})
	tokens := randomTokens(rand.New(rand.NewPCG(5, 6)), 12)
	inputs := append(append([]*tensors.Tensor{}, f.weights...), testkit.Int(tokens, 1, len(tokens)))
	logits := testkit.Run(t, f.device, inputs, func(nodes []*graph.Node) []*graph.Node {
		return []*graph.Node{f.model.Forward(dtypes.Float32, nodes[:len(f.weights)], nodes[len(f.weights)], nil)}
	})[0]

	var want []float64
	var greedy []int32 // the likeliest token after each
	for at := range tokens {
		row := logits[at*vocab : (at+1)*vocab]
		sum, best := 0.0, 0
		for id, logit := range row {
			sum += math.Exp(logit)
			if logit > row[best] {
				best = id
			}
		}
		greedy = append(greedy, int32(best))
		if at+1 < len(tokens) {
			want = append(want, row[tokens[at+1]]-math.Log(sum))
		}
	}
	scores, err := f.scorer(t, eval.ScorerOptions{}).Score(context.Background(), []eval.Query{
		{Context: tokens[:5], Continuation: tokens[5:]}, {Context: tokens[:5], Continuation: greedy[4:5]},
		{Context: tokens[:5], Continuation: []int32{tokens[5], greedy[5]}},
	})
	require.NoError(t, err)
	testkit.Close(t, "log-probabilities", want[4:], scores[0].LogProbs, testkit.Tolerances[dtypes.Float32].Forward)
	require.True(t, scores[1].Greedy)
	require.False(t, scores[0].Greedy)
	require.NotEqual(t, tokens[5], greedy[4])
	require.False(t, scores[2].Greedy, "the last token alone is the likeliest")
}

func TestAContextThatIsTooLongLosesTokensAfterItsFirst(t *testing.T) {
	f := newFixture(t, "T", models.Config{Width: 16, Vocab: vocab, Context: 16})
	scorer := f.scorer(t, eval.ScorerOptions{})
	tokens := randomTokens(rand.New(rand.NewPCG(7, 8)), 40)
	shortened := append([]int32{tokens[0]}, tokens[24:38]...)
	scores, err := scorer.Score(context.Background(), []eval.Query{
		{Context: tokens[:38], Continuation: tokens[38:]}, {Context: shortened, Continuation: tokens[38:]},
	})
	require.NoError(t, err)
	require.Equal(t, 23, scores[0].Cut)
	require.Zero(t, scores[1].Cut)
	require.InDeltaSlice(t, scores[1].LogProbs, scores[0].LogProbs, 1e-9)
}

// Without this every question would be answered with its first choice, and the accuracy look like that of guessing.
func TestAModelThatGivesNoNumbersHasNoScore(t *testing.T) {
	f := newFixture(t, "T", models.Config{Width: 16, Vocab: vocab, Context: 16})
	f.weights[0] = nanLike(f.weights[0])
	_, err := f.scorer(t, eval.ScorerOptions{}).Score(context.Background(), []eval.Query{{Context: []int32{1, 2}, Continuation: []int32{3}}})
	require.EqualError(t, err, "score: a log-probability of the model is NaN: its training diverged, or its weights are damaged; move its newest step-* folder away to evaluate the one before")
}

func TestQueriesThatCannotBeScoredAreRefused(t *testing.T) {
	scorer := newFixture(t, "T", models.Config{Width: 16, Vocab: vocab, Context: 16}).scorer(t, eval.ScorerOptions{})
	for want, query := range map[string]eval.Query{
		"score: query 0: context and continuation have 0 and 1 tokens; neither may be empty":                        {Continuation: []int32{1}},
		"score: query 0: context and continuation have 1 and 0 tokens; neither may be empty":                        {Context: []int32{1}},
		"score: query 0: its continuation has 20 tokens and the model's context is 16; train with a longer context": {Context: []int32{1, 2}, Continuation: make([]int32, 20)},
	} {
		_, err := scorer.Score(context.Background(), []eval.Query{query})
		require.EqualError(t, err, want)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := scorer.Score(ctx, []eval.Query{{Context: []int32{1}, Continuation: []int32{1}}})
	require.ErrorIs(t, err, context.Canceled)
}
