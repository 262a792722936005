package generate_test

import (
	"context"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/stretchr/testify/require"

	"tandem/tests/testkit"
	"tandem/workbench/generate"
)

var patterns = []string{"T", "M", "TM", "MTM"}

var sampled = generate.Sampling{Temperature: 1.2, TopK: 20, TopP: 0.95, RepetitionPenalty: 1.1, Seed: 99}

// requireLikeliest checks a greedy continuation against the model's whole forward pass.
func requireLikeliest(t testing.TB, f *fixture, prompt []int32, r result) {
	t.Helper()
	logits := f.forward(t, append(append([]int32{}, prompt...), r.ids...))
	for j, id := range r.ids {
		want := logSoftmax(logits[len(prompt)-1+j])
		require.InDelta(t, want[id], r.logProbs[j], 1e-4, "token %d", j)
		for other := range want {
			require.LessOrEqual(t, want[other], want[id]+1e-4, "token %d is not the likeliest", j)
		}
	}
}

func TestDecodingEqualsTheWholeForwardPassForEveryPattern(t *testing.T) {
	prompts := [][]int32{randomTokens(1, 1), randomTokens(2, 9), randomTokens(3, 17), randomTokens(4, 4)}
	for _, pattern := range patterns {
		t.Run(pattern, func(t *testing.T) {
			f := tiny(t, pattern)
			engine := f.engine(t, generate.Options{Chunks: []int{3, 8}})
			for i, r := range collect(t, engine, prompts, generate.GenerateOptions{MaxTokens: 12}) {
				require.Equal(t, generate.FinishLength, r.finish)
				require.Len(t, r.ids, 12)
				requireLikeliest(t, f, prompts[i], r)
			}
		})
	}
}

func TestThePromptMayBeCutIntoAnyChunks(t *testing.T) {
	for _, pattern := range patterns {
		t.Run(pattern, func(t *testing.T) {
			f := tiny(t, pattern)
			prompt := [][]int32{randomTokens(5, 18)}
			want := collect(t, f.engine(t, generate.Options{}), prompt, generate.GenerateOptions{MaxTokens: 6})[0]
			for _, chunks := range [][]int{{1}, {2}, {5}, {17}, {30}, {4, 7}} {
				got := collect(t, f.engine(t, generate.Options{Chunks: chunks}), prompt, generate.GenerateOptions{MaxTokens: 6})[0]
				require.Equal(t, want.ids, got.ids, "chunks %v", chunks)
				require.InDeltaSlice(t, want.logProbs, got.logProbs, 1e-4, "chunks %v", chunks)
			}
		})
	}
}

func TestPromptsFedInGroupsAreAsIfEachWereAlone(t *testing.T) {
	var prompts [][]int32
	for i := range uint64(19) { // two groups and three rows alone, and one of another length
		prompts = append(prompts, randomTokens(i, 5+int(i)%4))
	}
	prompts = append(prompts, randomTokens(20, 14))
	t.Cleanup(generate.GroupsFrom(8))
	for _, pattern := range patterns {
		t.Run(pattern, func(t *testing.T) {
			f := tiny(t, pattern)
			options := generate.Options{Chunks: []int{4, 8}, Rows: len(prompts)}
			engine := f.engine(t, options)
			together := collect(t, engine, prompts, generate.GenerateOptions{MaxTokens: 6})
			require.True(t, engine.FedInGroups(4))
			require.False(t, engine.FedInGroups(8))
			alone := f.engine(t, options)
			for i, prompt := range prompts {
				want := collect(t, alone, [][]int32{prompt}, generate.GenerateOptions{MaxTokens: 6})[0]
				require.Equal(t, want.ids, together[i].ids)
				require.InDeltaSlice(t, want.logProbs, together[i].logProbs, 1e-4)
			}
			require.Zero(t, engine.StateBytes())
		})
	}
}

func TestTokensPerTripChangeNothing(t *testing.T) {
	for _, pattern := range patterns {
		t.Run(pattern, func(t *testing.T) {
			f := tiny(t, pattern)
			prompts := [][]int32{randomTokens(1, 3), randomTokens(2, 8)}
			for _, sampling := range []generate.Sampling{{}, sampled} {
				o := generate.GenerateOptions{MaxTokens: 11, Sampling: sampling, Stop: []int32{5, 30}}
				want := collect(t, f.engine(t, generate.Options{TokensPerTrip: 1}), prompts, o)
				for _, trip := range []int{2, 4, 16} {
					got := collect(t, f.engine(t, generate.Options{TokensPerTrip: trip}), prompts, o)
					for row := range want {
						require.InDeltaSlice(t, want[row].logProbs, got[row].logProbs, 1e-5, "%d tokens a trip", trip)
						got[row].logProbs = want[row].logProbs
					}
					require.Equal(t, want, got, "%d tokens a trip", trip)
				}
			}
		})
	}
}

func TestARowIsTheSameWhateverElseIsInTheBatch(t *testing.T) {
	for _, pattern := range patterns {
		t.Run(pattern, func(t *testing.T) {
			f := tiny(t, pattern)
			engine := f.engine(t, generate.Options{Chunks: []int{4}})
			submit := func(request generate.Request) *generate.Stream {
				stream, err := engine.Submit(context.Background(), request)
				require.NoError(t, err)
				return stream
			}
			for seed := range uint64(4) { // others join earlier, at once and later, and leave at different times
				request := generate.Request{Prompt: randomTokens(seed, 6), MaxTokens: 20, Sampling: sampled}
				if seed%2 == 1 { // a step that applies others' top-k is not the one that the row has alone
					request.Sampling = generate.Sampling{Temperature: 0.9, MinP: 0.01, Seed: seed}
				}
				want := drain(t, submit(request))
				require.Len(t, want.ids, 20)
				other := func(i uint64, sampling generate.Sampling) *generate.Stream {
					return submit(generate.Request{Prompt: randomTokens(seed*10+i, 3+int(i*5)), MaxTokens: 4 + int(i)*3, Sampling: sampling})
				}
				others := []*generate.Stream{other(1, generate.Sampling{}), other(2, sampled)}
				stream := submit(request)
				others = append(others, other(3, generate.Sampling{Temperature: 2, MinP: 0.1}))
				var got result
				for token, err := range stream.Tokens() {
					require.NoError(t, err)
					got.take(token)
					if len(got.ids) == 5 {
						others = append(others, other(4, generate.Sampling{}))
					}
				}
				require.Equal(t, want.ids, got.ids, "round %d", seed)
				// Not exact: a matrix product may sum in another order for another number of rows.
				testkit.Close(t, fmt.Sprintf("round %d", seed), float64s(want.logProbs), float64s(got.logProbs), testkit.Tolerances[dtypes.Float32].Forward)
				for _, stream := range others {
					drain(t, stream)
				}
			}
		})
	}
}

// The number of rows and the slot must be the same: GoMLX's plain kernel, which AVX-512 machines use for products of at most
// 16 columns and AVX2 machines of at most 8, sums three rows at a time one term after the other, and the rows left over in
// fours.
func TestARowInItsSlotIsExactlyTheSameWhateverTheOthersHold(t *testing.T) {
	for _, pattern := range patterns {
		t.Run(pattern, func(t *testing.T) {
			f := tiny(t, pattern)
			if f.device.Kind != "go" {
				t.Skip("what a library of matrix products promises is not known")
			}
			engine := f.engine(t, generate.Options{})
			for slot := range 4 {
				batch := func(seed uint64) [][]int32 {
					prompts := make([][]int32, 4)
					for i := range prompts {
						prompts[i] = randomTokens(seed+uint64(i), 3+i)
					}
					prompts[slot] = randomTokens(99, 7)
					return prompts
				}
				o := generate.GenerateOptions{MaxTokens: 12, Sampling: sampled}
				want, got := collect(t, engine, batch(0), o), collect(t, engine, batch(20), o)
				require.Equal(t, want[slot], got[slot], "slot %d", slot)
				require.NotEqual(t, want[(slot+1)%4], got[(slot+1)%4])
			}
		})
	}
}

func TestRowsEndAtStopTokensLengthsAndTheCapacity(t *testing.T) {
	f := tiny(t, "TM")
	engine := f.engine(t, generate.Options{Capacity: 16})
	prompt := randomTokens(3, 6)
	free := collect(t, engine, [][]int32{prompt}, generate.GenerateOptions{Sampling: sampled})[0]
	require.Equal(t, generate.FinishCapacity, free.finish)
	require.EqualValues(t, -1, free.last)
	require.Len(t, free.ids, 11, "the state holds 16 tokens: the prompt and ten; the eleventh is drawn from them")

	stop := free.ids[4]
	for i, id := range free.ids[:4] {
		require.NotEqual(t, stop, id, "the test needs a token that comes first at place 4, not %d", i)
	}
	stopped := collect(t, engine, [][]int32{prompt}, generate.GenerateOptions{Sampling: sampled, Stop: []int32{36, stop}})[0]
	require.Equal(t, result{ids: free.ids[:4], logProbs: free.logProbs[:4], finish: generate.FinishStop, last: stop}, stopped)

	short := collect(t, engine, [][]int32{prompt}, generate.GenerateOptions{Sampling: sampled, MaxTokens: 3})[0]
	require.Equal(t, result{ids: free.ids[:3], logProbs: free.logProbs[:3], finish: generate.FinishLength, last: -1}, short)
}

func TestRowsOfEqualPromptsDrawWithSeedsOfTheirOwn(t *testing.T) {
	f := tiny(t, "T")
	engine := f.engine(t, generate.Options{})
	prompt := randomTokens(3, 4)
	o := generate.GenerateOptions{MaxTokens: 10, Sampling: generate.Sampling{Temperature: 2, Seed: 4}}
	both := collect(t, engine, [][]int32{prompt, prompt}, o)
	require.NotEqual(t, both[0].ids, both[1].ids)
	o.Sampling.Seed = 5
	alone := collect(t, engine, [][]int32{prompt}, o)[0]
	require.Equal(t, both[1].ids, alone.ids)
	require.InDeltaSlice(t, both[1].logProbs, alone.logProbs, 1e-4, "a product of two rows may sum in another order")
}

func TestNewWeightsTakeEffectWithoutRecompiling(t *testing.T) {
	f := tiny(t, "TM")
	engine := f.engine(t, generate.Options{})
	prompts := [][]int32{randomTokens(1, 5)}
	before := collect(t, engine, prompts, generate.GenerateOptions{MaxTokens: 8})
	other := newFixture(t, f.device, "TM", f.model.Config)
	flat := tensors.MustCopyFlatData[float32](other.weights[0])
	for i := range flat {
		flat[i] *= -1
	}
	other.weights[0] = tensors.FromFlatDataAndDimensions(flat, f.model.Weights()[0].Shape...)
	require.NoError(t, engine.SetWeights(other.weights))
	after := collect(t, engine, prompts, generate.GenerateOptions{MaxTokens: 8})
	require.NotEqual(t, before, after)
	requireLikeliest(t, other, prompts[0], after[0])
	require.ErrorContains(t, engine.SetWeights(other.weights[1:]), "weights, the model has")
	require.ErrorContains(t, engine.SetWeights(append([]*tensors.Tensor{other.weights[1]}, other.weights[1:]...)), `weight "embedding" has shape`)
}

func TestMatricesAreConvertedOnceWhereTheDeviceComputesInAnotherDType(t *testing.T) {
	f := tiny(t, "M")
	prompt := [][]int32{randomTokens(1, 5)}
	o := generate.GenerateOptions{MaxTokens: 1}
	want := collect(t, f.engine(t, generate.Options{}), prompt, o)[0]
	f.device.Compute = dtypes.BFloat16
	engine := f.engine(t, generate.Options{})
	for range 2 {
		got := collect(t, engine, prompt, o)[0]
		require.InDelta(t, want.logProbs[0], got.logProbs[0], 0.1)
		require.NotEqual(t, want.logProbs[0], got.logProbs[0])
		require.NoError(t, engine.SetWeights(f.weights))
	}
	require.EqualValues(t, 4+3*32*2+16*32*4, engine.RowBytes(), "the window is kept in bfloat16, the scan's state in float32")
}

func TestBrokenWeightsAreAnErrorNotACrash(t *testing.T) {
	f := tiny(t, "M")
	shape := f.model.Weights()[1].Shape
	broken := make([]float32, shape[0]*shape[1])
	for i := range broken {
		broken[i] = float32(math.NaN())
	}
	f.weights[1] = tensors.FromFlatDataAndDimensions(broken, shape...)
	engine := f.engine(t, generate.Options{})
	for _, err := range engine.Generate(context.Background(), [][]int32{{1, 2}}, generate.GenerateOptions{MaxTokens: 4, Sampling: sampled}) {
		require.ErrorContains(t, err, "the model's logits are not numbers; the weights are broken")
	}
	stream, err := engine.Submit(context.Background(), generate.Request{Prompt: []int32{1, 2}, MaxTokens: 4, Keep: true})
	require.NoError(t, err)
	require.Nil(t, stream.Snapshot(), "of a request that failed")
}

func TestAnEngineWithoutWeightsSaysSoUntilItHasSome(t *testing.T) {
	f := tiny(t, "TM")
	f.device.Compute = dtypes.BFloat16 // weights are to be converted
	engine := f.engine(t, generate.Options{})
	weights := slices.Clone(f.weights)
	const head = 1
	gone, err := weights[head].OnDeviceClone(f.device.Backend, 0)
	require.NoError(t, err)
	buffer, err := gone.Buffer(f.device.Backend, 0)
	require.NoError(t, err)
	require.NoError(t, buffer.Finalize())
	weights[head] = gone
	require.Error(t, engine.SetWeights(weights), "the head is on the device no longer")
	for _, err := range engine.Generate(context.Background(), [][]int32{{1, 2}}, generate.GenerateOptions{MaxTokens: 2}) {
		require.ErrorContains(t, err, "the engine has no weights, for the last SetWeights failed; call it again")
	}
	require.NoError(t, engine.SetWeights(f.weights))
	require.Len(t, collect(t, engine, [][]int32{{1, 2}}, generate.GenerateOptions{MaxTokens: 2})[0].ids, 2)
}
