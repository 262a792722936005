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

func TestATripOfRowsThatHaveAllDrawnEndsThemWhenItFailsLateAndNoOthers(t *testing.T) {
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

func TestAnErrorOfARowThatJustJoinedEndsItAndTheOthersLoseNothing(t *testing.T) {
	for _, pattern := range []string{"T", "M", "TM"} {
		for spoil, wantErr := range map[generate.Spoil]string{
			generate.SpoilJoin:   "run replacement in 4 rows: ",
			generate.SpoilLaunch: "run step of 4 rows",
			generate.SpoilTrip:   "generate: read tokens from the device: ",
		} {
			t.Run(pattern+" "+string(spoil), func(t *testing.T) {
				f := tiny(t, pattern)
				engine := f.engine(t, generate.Options{Capacity: 16, Rows: 4, Chunks: []int{4}, TokensPerTrip: 2})
				first, snapshot := run(t, engine, generate.Request{Prompt: randomTokens(3, 5), MaxTokens: 3, Keep: true})
				requests := []generate.Request{
					{Prompt: randomTokens(1, 7), MaxTokens: 9, Sampling: sampled},
					{Prompt: randomTokens(2, 15), MaxTokens: 20, Overflow: generate.OverflowSlide},
					{Prompt: join(randomTokens(3, 5), first.ids), MaxTokens: 8, From: snapshot},
				}
				var want []result
				for _, request := range requests {
					r, _ := run(t, engine, request)
					want = append(want, r)
				}
				ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
				defer cancel()
				submit := func(request generate.Request) *generate.Stream {
					stream, err := engine.Submit(ctx, request)
					require.NoError(t, err)
					return stream
				}
				var old []*generate.Stream
				var young *generate.Stream
				engine.InTurns(func(turn func(generate.Spoil) int) {
					for _, request := range requests {
						old = append(old, submit(request))
					}
					var live []int
					for range 6 {
						live = append(live, turn(generate.SpoilNothing))
					}
					require.Equal(t, []int{0, 0, 0, 2, 2, 3}, live, "all are fed, and then the second row slides and comes back")
					young = submit(generate.Request{Prompt: []int32{1}, Keep: true})
					require.Zero(t, turn(spoil))
				})
				requireFailed(t, young, wantErr)
				for i, stream := range old {
					r := drain(t, stream)
					require.Equal(t, want[i].ids, r.ids, "request %d", i)
					require.Equal(t, want[i].finish, r.finish, "request %d", i)
					require.InDeltaSlice(t, want[i].logProbs, r.logProbs, 1e-4, "request %d", i)
				}
				next, _ := run(t, engine, generate.Request{Prompt: []int32{2, 3}, MaxTokens: 5})
				requireLikeliest(t, f, []int32{2, 3}, next)
				snapshot.Release()
				require.Zero(t, engine.StateBytes())
			})
		}
	}
}

// requireFailed reads a stream that draws nothing and ends with an error, and leaves no snapshot.
func requireFailed(t *testing.T, stream *generate.Stream, want string) {
	t.Helper()
	var last error
	for token, err := range stream.Tokens() {
		require.Zero(t, token)
		last = err
	}
	require.ErrorContains(t, last, want)
	require.Nil(t, stream.Snapshot())
}
