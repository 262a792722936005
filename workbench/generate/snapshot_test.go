package generate_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"tandem/workbench/generate"
)

func run(t testing.TB, engine *generate.Engine, request generate.Request) (result, *generate.Snapshot) {
	t.Helper()
	stream, err := engine.Submit(context.Background(), request)
	require.NoError(t, err)
	r := drain(t, stream)
	return r, stream.Snapshot()
}

func join(parts ...[]int32) (whole []int32) {
	for _, part := range parts {
		whole = append(whole, part...)
	}
	return whole
}

func TestASnapshotContinuesAsIfTheConversationHadNeverStopped(t *testing.T) {
	for _, pattern := range patterns {
		for _, trip := range []int{1, 4} {
			t.Run(pattern, func(t *testing.T) {
				f := tiny(t, pattern)
				engine := f.engine(t, generate.Options{TokensPerTrip: trip, Chunks: []int{4}})
				prompt := randomTokens(2, 7)
				want, none := run(t, engine, generate.Request{Prompt: prompt, MaxTokens: 12, Sampling: sampled})
				require.Nil(t, none, "no snapshot unless asked for")

				first, snapshot := run(t, engine, generate.Request{Prompt: prompt, MaxTokens: 5, Sampling: sampled, Keep: true})
				require.Equal(t, want.ids[:5], first.ids)
				require.Equal(t, join(prompt, want.ids[:4]), snapshot.Tokens(), "all but the last token drawn")
				require.Equal(t, engine.RowBytes(), snapshot.Bytes())
				for range 2 { // a snapshot may be used again
					second, _ := run(t, engine, generate.Request{Prompt: join(prompt, first.ids), MaxTokens: 7, Sampling: sampled, From: snapshot})
					require.Equal(t, want.ids[5:], second.ids)
					require.InDeltaSlice(t, want.logProbs[5:], second.logProbs, 1e-4)
				}
				require.Equal(t, engine.RowBytes(), engine.StateBytes())

				// The next turn of a conversation: the reply's stop token and a question are fed on top.
				turn := join(prompt, first.ids, randomTokens(6, 6))
				fresh, _ := run(t, engine, generate.Request{Prompt: turn, MaxTokens: 6})
				reused, _ := run(t, engine, generate.Request{Prompt: turn, MaxTokens: 6, From: snapshot})
				require.Equal(t, fresh.ids, reused.ids)
				snapshot.Release()
				snapshot.Release()
				require.Zero(t, snapshot.Bytes())
				require.Zero(t, engine.StateBytes())
			})
		}
	}
}

func TestASnapshotOfARowInABatchIsThatRows(t *testing.T) {
	f := tiny(t, "TM")
	for _, trip := range []int{1, 8} {
		engine := f.engine(t, generate.Options{TokensPerTrip: trip})
		var streams []*generate.Stream
		prompts := [][]int32{randomTokens(1, 5), randomTokens(2, 9), randomTokens(3, 2)}
		for i, prompt := range prompts {
			stream, err := engine.Submit(context.Background(), generate.Request{Prompt: prompt, MaxTokens: 3 + 2*i, Keep: true})
			require.NoError(t, err)
			streams = append(streams, stream)
		}
		for i, stream := range streams {
			reply, snapshot := drain(t, stream), stream.Snapshot()
			turn := join(prompts[i], reply.ids, []int32{4, 8})
			r, _ := run(t, engine, generate.Request{Prompt: turn, MaxTokens: 5, From: snapshot})
			requireLikeliest(t, f, turn, r)
			snapshot.Release()
		}
		require.Zero(t, engine.StateBytes())
	}
}

func TestASnapshotSurvivesSlidingAndRemembersWhatWasDropped(t *testing.T) {
	f := tiny(t, "TM")
	engine := f.engine(t, generate.Options{Capacity: 8})
	prompt := randomTokens(2, 6)
	r, snapshot := run(t, engine, generate.Request{Prompt: prompt, MaxTokens: 4, Overflow: generate.OverflowSlide, Keep: true})
	defer snapshot.Release()
	turn := join(prompt, r.ids, []int32{3}) // eleven tokens; the state knows those from the fifth on
	next, _ := run(t, engine, generate.Request{Prompt: turn, MaxTokens: 2, From: snapshot})
	requireLikeliest(t, f, turn[5:], next)
}

func TestASnapshotThatDoesNotFitIsRefused(t *testing.T) {
	f := tiny(t, "TM")
	engine, other := f.engine(t, generate.Options{}), f.engine(t, generate.Options{})
	_, snapshot := run(t, engine, generate.Request{Prompt: []int32{1, 2, 3}, MaxTokens: 1, Keep: true})
	refused := func(engine *generate.Engine, prompt []int32, want string) {
		_, err := engine.Submit(context.Background(), generate.Request{Prompt: prompt, From: snapshot})
		require.ErrorContains(t, err, want)
	}
	refused(engine, []int32{1, 2, 3}, "it holds 3 tokens, the prompt has 3; pass the whole conversation, with at least one token more")
	refused(engine, []int32{1, 5, 3, 4}, "token 1 is 2 in it and 5 in the prompt; it can only be continued, not changed")
	refused(other, []int32{1, 2, 3, 4}, "the snapshot is of another engine")
	require.NoError(t, engine.SetWeights(f.weights))
	stream, err := engine.Submit(context.Background(), generate.Request{Prompt: []int32{1, 2, 3, 4}, From: snapshot})
	require.NoError(t, err)
	for _, err := range stream.Tokens() {
		require.ErrorContains(t, err, "the snapshot was taken with other weights")
	}
	snapshot.Release()
	refused(engine, []int32{1, 2, 3, 4}, "it was released")
}

func TestStateBytesAreThoseOfTheDeclaredTensors(t *testing.T) {
	sizes := map[string][2]int64{}
	for _, pattern := range []string{"T", "M", "TM"} {
		f := tiny(t, pattern)
		for i, capacity := range []int{8, 16} {
			size := sizes[pattern]
			size[i] = f.engine(t, generate.Options{Capacity: capacity}).RowBytes()
			sizes[pattern] = size
		}
	}
	// T: keys and values, 16 float32 a token each; M: a window of 3 and 16 states for 32 channels. And the position.
	require.Equal(t, map[string][2]int64{
		"T":  {4 + 2*8*16*4, 4 + 2*16*16*4},
		"M":  {4 + (3+16)*32*4, 4 + (3+16)*32*4},
		"TM": {4 + 2*8*16*4 + (3+16)*32*4, 4 + 2*16*16*4 + (3+16)*32*4},
	}, sizes)
}
