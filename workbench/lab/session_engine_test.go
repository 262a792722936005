package lab

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tandem/workbench/chat"
	"tandem/workbench/session"
)

// served is a client, over the socket, of a workbench in this process.
func served(t *testing.T, w session.Workbench) *session.Client {
	t.Helper()
	ctx, cancel := context.WithCancel(within(t))
	done := make(chan error, 1)
	go func() { done <- session.Serve(ctx, w, session.ServeOptions{Runs: RunsFolder}) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	var c *session.Client
	require.Eventually(t, func() (ok bool) {
		var err error
		c, err = session.Dial(ctx, RunsFolder, "")
		return err == nil
	}, 10*time.Second, time.Millisecond)
	return c
}

// answered is the answer to a message.
func answered(t *testing.T, talk *ChatSession, message string) chat.Content {
	t.Helper()
	_, err := gathered(talk.Ask(within(t), message, ChatOptions{MaxTokens: 6}))
	require.NoError(t, err)
	messages := talk.Conversation().Messages
	return messages[len(messages)-1].Content
}

func TestAChatInASessionAnswersAsOneHere(t *testing.T) {
	elsewhere(t)
	w := NewWorkbench(func(string) {}).(*local)
	client := served(t, w)
	fullyTrained(t, client, tinyRequest(t, "first", 4, "context=256"))
	run, err := OpenRun("first")
	require.NoError(t, err)
	here, err := OpenService(run, "go", ServeOptions{Queue: 5}, func(string) {})
	require.NoError(t, err)
	defer here.Close()
	there, err := OpenServiceIn(within(t), client, run, "", 5)
	require.NoError(t, err)
	defer there.Close()
	require.Equal(t, []any{here.Requests, here.CacheBytes, len(here.Kinds), here.Context, here.StateFixedBytes, here.StateTokenBytes, here.Overflow},
		[]any{there.Requests, there.CacheBytes, len(there.Kinds), there.Context, there.StateFixedBytes, there.StateTokenBytes, there.Overflow})
	require.NotEmpty(t, there.Where())

	talkHere, talkThere := here.Session("be kind"), there.Session("be kind")
	for i, message := range []string{"hello", "more", "and more"} {
		if i == 2 { // a state that is gone is fed again
			for _, name := range append([]string{}, w.lent.names...) {
				require.NoError(t, client.Release(within(t), name))
			}
		}
		require.Equal(t, answered(t, talkHere, message), answered(t, talkThere, message), message)
		a, b := talkHere.Stats(), talkThere.Stats()
		require.Equal(t, a.Tokens, b.Tokens)
		require.Equal(t, a.Finish, b.Finish)
		require.Equal(t, i == 1, b.Last.Reused > 0)
		require.Equal(t, a.StateBytes, b.StateBytes)
	}
	for range talkThere.Ask(within(t), "a long story", ChatOptions{MaxTokens: 100}) {
		break // cuts it short
	}
	answered(t, talkThere, "so?")
	require.NoError(t, talkThere.Conversation().Validate())
	talkThere.Close()
	require.Empty(t, w.lent.states)
	require.Empty(t, w.lent.names)
}

func TestStatesLentLongestAgoGo(t *testing.T) {
	elsewhere(t)
	w := workbenchHere(t)
	fullyTrained(t, w, tinyRequest(t, "first", 2))
	var names []string
	for range lentStates + 1 {
		tokens, err := gathered(w.Generate(within(t), session.GenerateRequest{Prompt: []int32{65, 66}, Tokens: 1, Keep: true}))
		require.NoError(t, err)
		names = append(names, tokens[len(tokens)-1].State.ID)
	}
	require.Len(t, w.lent.states, lentStates)
	next := session.GenerateRequest{Prompt: []int32{65, 66, 67}, Tokens: 1, From: names[0]}
	_, err := gathered(w.Generate(within(t), next))
	require.EqualError(t, err, `generate: the session keeps no state "1" any more; start without it`)
	next.From = names[1]
	_, err = gathered(w.Generate(within(t), next))
	require.NoError(t, err)
	require.NoError(t, w.Unload(within(t), "first"))
	_, err = gathered(w.Generate(within(t), next))
	require.Error(t, err, "the state went with the loaded run")
	require.NoError(t, w.Release(within(t), names[1]))
}
