package generate_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tandem/workbench/generate"
)

func TestTripsLaunchedAheadOfTheHostChangeNothing(t *testing.T) {
	t.Cleanup(generate.TripsAtOnce(3))
	for name, test := range map[string]func(*testing.T){
		"decoding":        TestDecodingEqualsTheWholeForwardPassForEveryPattern,
		"other rows":      TestARowIsTheSameWhateverElseIsInTheBatch,
		"snapshots":       TestASnapshotContinuesAsIfTheConversationHadNeverStopped,
		"kept in a batch": TestASnapshotOfARowInABatchIsThatRows,
		"ends":            TestRowsEndAtStopTokensLengthsAndTheCapacity,
		"sliding":         TestSlidingDropsTheOldestTokensAndGoesOn,
		"slid snapshots":  TestASnapshotSurvivesSlidingAndRemembersWhatWasDropped,
		"broken weights":  TestBrokenWeightsAreAnErrorNotACrash,
		"cancelling":      TestACancelledRequestFreesItsRowAtOnce,
		"in the queue":    TestACancelledRequestLeavesTheQueueWhileEveryRowIsBusy,
		"a full queue":    TestTheQueueIsLimited,
		"closing":         TestClosingEndsEveryRequest,
	} {
		t.Run(name, test)
	}
}

func TestRequestsThatComeEndAndAreCancelledBetweenTripsKeepWhatTheyDrew(t *testing.T) {
	t.Cleanup(generate.TripsAtOnce(3))
	f := tiny(t, "TM")
	engine := f.engine(t, generate.Options{TokensPerTrip: 3, Rows: 4, Chunks: []int{4}})
	var group sync.WaitGroup
	places := make(chan struct{}, 9) // more than there are rows
	results, prompts, snapshots := make([]result, 40), make([][]int32, 40), make([]*generate.Snapshot, 40)
	for i := range results {
		group.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			random := rand.New(rand.NewPCG(uint64(i), 3))
			prompts[i] = randomTokens(uint64(i), 1+random.IntN(12))
			stream, err := engine.Submit(context.Background(), generate.Request{
				Prompt: prompts[i], MaxTokens: 1 + random.IntN(16), Stop: randomTokens(uint64(i), random.IntN(5)), Keep: true,
			})
			if err != nil {
				t.Error(err)
				return
			}
			cancelAt := random.IntN(24) // later than many end
			for token, err := range stream.Tokens() {
				if err != nil {
					break
				}
				if results[i].take(token); len(results[i].ids) == cancelAt {
					stream.Cancel()
				}
			}
			snapshots[i] = stream.Snapshot()
		})
	}
	group.Wait()
	for i, snapshot := range snapshots {
		requireLikeliest(t, f, prompts[i], results[i])
		require.NotNil(t, snapshot, "request %d", i)
		turn := append(snapshot.Tokens(), 5)
		next, _ := run(t, engine, generate.Request{Prompt: turn, MaxTokens: 1, From: snapshot})
		requireLikeliest(t, f, turn, next)
		snapshot.Release()
	}
	require.Zero(t, engine.StateBytes())
}

func TestATripThatFailsLateEndsItsRowsAndNoOthers(t *testing.T) {
	t.Cleanup(generate.TripsAtOnce(3))
	f := tiny(t, "M")
	engine := f.engine(t, generate.Options{Rows: 2})
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	endless := generate.Request{Prompt: []int32{1}, Overflow: generate.OverflowContinue, Keep: true}
	var running []*generate.Stream
	for range 2 {
		stream, err := engine.Submit(ctx, endless)
		require.NoError(t, err)
		running = append(running, stream)
	}
	waiting, err := engine.Submit(ctx, generate.Request{Prompt: []int32{2, 3}, MaxTokens: 5})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return engine.SpoilFlights(2) }, 20*time.Second, time.Millisecond, "trips in the air")
	for _, stream := range running {
		var last error
		for _, err := range stream.Tokens() {
			last = err
		}
		require.ErrorContains(t, last, "generate: read tokens from the device")
		require.Nil(t, stream.Snapshot())
	}
	r := drain(t, waiting)
	require.Len(t, r.ids, 5)
	requireLikeliest(t, f, []int32{2, 3}, r)
	require.Zero(t, engine.StateBytes())
}
