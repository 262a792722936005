package generate_test

import (
	"context"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tandem/workbench/generate"
)

func TestWrongRequestsAreRefusedWithTheRemedy(t *testing.T) {
	f := tiny(t, "TM")
	engine := f.engine(t, generate.Options{Capacity: 8})
	for want, request := range map[string]generate.Request{
		`generate: request 0: the prompt has 9 tokens, the capacity is 8; shorten the prompt, raise the capacity, or choose overflow "slide"`: {Prompt: make([]int32, 9)},
		"generate: request 0: the prompt is empty; give at least one token, such as the one that begins a document":                           {},
		"generate: request 0: prompt token 1 is 37: must lie between 0 and 36":                                                                {Prompt: []int32{1, 37}},
		"generate: request 0: stop token 0 is -4: must lie between 0 and 36":                                                                  {Prompt: []int32{1}, Stop: []int32{-4}},
		"generate: request 0: 17 stop tokens: at most 16 are supported":                                                                       {Prompt: []int32{1}, Stop: make([]int32, 17)},
		"generate: request 0: max tokens -1: may not be negative; 0 is no limit":                                                              {Prompt: []int32{1}, MaxTokens: -1},
		`generate: request 0: overflow "continue": the state of pattern T M grows with its tokens; use "slide"`:                               {Prompt: []int32{1}, Overflow: generate.OverflowContinue},
		`generate: request 0: overflow "wrap": unknown; use "" (an error), "slide" or "continue"`:                                             {Prompt: []int32{1}, Overflow: "wrap"},
		"generate: request 0: sampling: top_p 2: must lie between 0 and 1":                                                                    {Prompt: []int32{1}, Sampling: generate.Sampling{TopP: 2}},
	} {
		_, err := engine.Submit(context.Background(), request)
		require.EqualError(t, err, want)
	}
	_, err := generate.New(f.device, f.model, f.weights, generate.Options{Rows: -1})
	require.ErrorContains(t, err, "none may be negative")
	_, err = generate.New(f.device, f.model, f.weights[1:], generate.Options{})
	require.ErrorContains(t, err, "pass them in the order of model.Weights()")
}

func TestSlidingDropsTheOldestTokensAndGoesOn(t *testing.T) {
	for _, pattern := range patterns {
		t.Run(pattern, func(t *testing.T) {
			f := tiny(t, pattern)
			engine := f.engine(t, generate.Options{Capacity: 8, Chunks: []int{3}})
			prompt := randomTokens(8, 6)
			r := collect(t, engine, [][]int32{prompt}, generate.GenerateOptions{MaxTokens: 14, Overflow: generate.OverflowSlide})[0]
			require.Len(t, r.ids, 14)
			whole := append(append([]int32{}, prompt...), r.ids...)
			// Tokens 6, 7 and 8 are drawn from all before them; then every five tokens the newest four remain.
			for i, id := range r.ids {
				at := len(prompt) + i
				start := 0
				if at > 8 {
					start = 5 + (at-9)/5*5
				}
				logits := f.forward(t, whole[start:at])
				want := logSoftmax(logits[len(logits)-1])
				require.InDelta(t, want[id], r.logProbs[i], 1e-4, "token %d from %d", at, start)
			}
			long := randomTokens(9, 30)
			r = collect(t, engine, [][]int32{long}, generate.GenerateOptions{MaxTokens: 3, Overflow: generate.OverflowSlide})[0]
			requireLikeliest(t, f, long[26:], r)
		})
	}
}

func TestAPureRecurrenceContinuesBeyondItsCapacity(t *testing.T) {
	f := tiny(t, "MM")
	engine := f.engine(t, generate.Options{Capacity: 8})
	prompt := randomTokens(8, 12)
	r := collect(t, engine, [][]int32{prompt}, generate.GenerateOptions{MaxTokens: 20, Overflow: generate.OverflowContinue})[0]
	require.Equal(t, generate.FinishLength, r.finish)
	requireLikeliest(t, f, prompt, r)
}

func TestALimitThatNoRowReachesIsNone(t *testing.T) {
	f := tiny(t, "M")
	engine := f.engine(t, generate.Options{})
	for _, limit := range []int{math.MaxInt32, 1 << 32, math.MaxInt} { // the device counts in int32
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		count := 0
		for _, err := range engine.Generate(ctx, [][]int32{{1}}, generate.GenerateOptions{MaxTokens: limit, Overflow: generate.OverflowContinue}) {
			require.NoError(t, err, "limit %d", limit)
			if count++; count == 5 {
				break
			}
		}
	}
}

func TestACancelledRequestFreesItsRowAtOnce(t *testing.T) {
	f := tiny(t, "M")
	engine := f.engine(t, generate.Options{Rows: 1})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	endless := generate.Request{Prompt: []int32{1}, Overflow: generate.OverflowContinue, Keep: true}
	first, err := engine.Submit(ctx, endless)
	require.NoError(t, err)
	second, err := engine.Submit(context.Background(), generate.Request{Prompt: []int32{2}, MaxTokens: 3})
	require.NoError(t, err)
	count := 0
	for _, err := range first.Tokens() {
		if count++; count == 10 {
			cancel()
		}
		if err != nil {
			require.ErrorIs(t, err, context.Canceled)
		}
	}
	require.GreaterOrEqual(t, count, 10)
	require.Len(t, drain(t, second).ids, 3)
	snapshot := first.Snapshot()
	require.GreaterOrEqual(t, len(snapshot.Tokens()), 10, "a cancelled request keeps its state if asked")
	require.Equal(t, engine.RowBytes(), engine.StateBytes())
	snapshot.Release()

	for range engine.Generate(context.Background(), [][]int32{{1}, {2}}, generate.GenerateOptions{Overflow: generate.OverflowContinue}) {
		break // leaving the loop cancels both rows, of which one still waits
	}
	third, err := engine.Submit(context.Background(), generate.Request{Prompt: []int32{2}, MaxTokens: 3})
	require.NoError(t, err)
	require.Len(t, drain(t, third).ids, 3)
}

// busy runs check while an engine's only row draws without an end, and its queue is empty.
func busy(t *testing.T, f *fixture, queue int, check func(engine *generate.Engine, submit func() (*generate.Stream, error))) {
	engine := f.engine(t, generate.Options{Rows: 1, Queue: queue})
	submit := func() (*generate.Stream, error) {
		return engine.Submit(context.Background(), generate.Request{Prompt: []int32{1}, Overflow: generate.OverflowContinue})
	}
	running, err := submit()
	require.NoError(t, err)
	for _, err := range running.Tokens() { // until it has left the queue
		require.NoError(t, err)
		check(engine, submit)
		break
	}
}

func TestACancelledRequestLeavesTheQueueWhileEveryRowIsBusy(t *testing.T) {
	busy(t, tiny(t, "M"), 1, func(_ *generate.Engine, submit func() (*generate.Stream, error)) {
		waiting, err := submit()
		require.NoError(t, err)
		waiting.Cancel()
		require.Eventually(t, func() bool {
			_, err := submit()
			return err == nil
		}, 20*time.Second, time.Millisecond, "the queue still holds the request")
	})
}

func TestTheQueueIsLimited(t *testing.T) {
	f := tiny(t, "M")
	busy(t, f, 2, func(engine *generate.Engine, submit func() (*generate.Stream, error)) {
		for range 2 {
			_, err := submit()
			require.NoError(t, err)
		}
		_, err := submit()
		require.ErrorIs(t, err, generate.ErrBusy)
		for _, err := range engine.Generate(context.Background(), [][]int32{{1}, {2}, {3}}, generate.GenerateOptions{MaxTokens: 1}) {
			require.EqualError(t, err, "generate: 3 requests at once never fit in a queue of 2; give fewer at once or raise the queue")
		}
		require.ErrorContains(t, engine.SetWeights(f.weights), "requests are running on the old ones")
	})
}

func TestClosingEndsEveryRequest(t *testing.T) {
	f := tiny(t, "TM")
	engine := f.engine(t, generate.Options{Rows: 2})
	var streams []*generate.Stream
	for i := range 5 {
		stream, err := engine.Submit(context.Background(), generate.Request{Prompt: []int32{int32(i)}, Overflow: generate.OverflowSlide, Keep: true})
		require.NoError(t, err)
		streams = append(streams, stream)
	}
	for i, stream := range streams {
		var last error
		for _, err := range stream.Tokens() {
			if last = err; i == 0 && err == nil { // two rows are running, three wait
				engine.Close()
				engine.Close()
			}
		}
		require.ErrorIs(t, last, generate.ErrClosed)
		require.Nil(t, stream.Snapshot())
	}
	_, err := engine.Submit(context.Background(), generate.Request{Prompt: []int32{1}})
	require.True(t, errors.Is(err, generate.ErrClosed))
}
