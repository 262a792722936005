package lab

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tandem/workbench/config"
	"tandem/workbench/runlog"
	"tandem/workbench/session"
)

func TestALoadedRunAnswersWithoutLoadingOrCompiling(t *testing.T) {
	elsewhere(t)
	w, ctx := workbenchHere(t), within(t)
	events := fullyTrained(t, w, tinyRequest(t, "first", 4, "save_every=2", "log_every=2"))
	kinds := map[string]int{}
	for _, event := range events {
		kinds[event.Record.Kind]++
	}
	require.Equal(t, 2, kinds[EventStep])
	require.Equal(t, 2, kinds[EventSave])
	require.Positive(t, kinds[session.Say])
	last := events[len(events)-1].Training
	require.Equal(t, []any{"first", 4, 4}, []any{last.Run, last.Step, last.Steps})
	require.Positive(t, last.BPB)

	sample := session.SampleRequest{ModelRequest: session.ModelRequest{Run: "first"}, Prompt: "cat", Tokens: 4}
	text, usage := asked(t, w.Sample(ctx, sample))
	require.Positive(t, usage.LoadSeconds)
	require.Positive(t, usage.CompileSeconds)
	require.Zero(t, usage.SavedSeconds)
	again, second := asked(t, w.Sample(ctx, sample))
	require.Equal(t, text, again)
	require.Zero(t, second.LoadSeconds+second.CompileSeconds)
	require.InDelta(t, usage.LoadSeconds+usage.CompileSeconds, second.SavedSeconds, 1e-6)

	training, err := w.Train(ctx, session.TrainRequest{Resume: "first", Config: tinyRequest(t, "first", 6).Config})
	require.NoError(t, err)
	_, err = gathered(w.Watch(ctx, training.Run))
	require.NoError(t, err)
	_, renewed := asked(t, w.Sample(ctx, sample))
	require.Equal(t, 6, renewed.Step, "the newest checkpoint")
	require.Zero(t, renewed.CompileSeconds, "its programs stayed")
	status, err := w.Status(ctx)
	require.NoError(t, err)
	require.Equal(t, 3, status.Calls)
	require.Len(t, status.Models, 1)
	require.Equal(t, 6, status.Models[0].Step)
	require.Len(t, status.Trainings, 2)

	require.NoError(t, w.Unload(ctx, "first"))
	require.EqualError(t, w.Unload(ctx, "first"), "unload first: it is not loaded")
}

func TestAConversationGoesOnFromCallToCall(t *testing.T) {
	elsewhere(t)
	w := workbenchHere(t)
	fullyTrained(t, w, tinyRequest(t, "first", 2))
	say := func(conversation, message string) (string, session.Usage) {
		return asked(t, w.Chat(within(t), session.ChatRequest{
			ModelRequest: session.ModelRequest{Run: "first"}, Conversation: conversation, Message: message, Tokens: 3,
		}))
	}
	_, first := say("a", "hello")
	require.Zero(t, first.ReusedTokens)
	_, second := say("a", "more")
	require.Positive(t, second.ReusedTokens, "its state was kept")
	_, other := say("b", "hello")
	require.Equal(t, first.PromptTokens, other.PromptTokens, "of another name, another conversation")
	_, single := say("", "hello")
	require.Equal(t, first.PromptTokens, single.PromptTokens)

	require.NoError(t, w.Unload(within(t), "first"))
	_, third := say("a", "what else?")
	require.Greater(t, third.PromptTokens, second.PromptTokens, "the text outlives the loaded run")
	require.Zero(t, third.ReusedTokens)
	_, reset := asked(t, w.Chat(within(t), session.ChatRequest{Conversation: "a", Message: "hello", Reset: true, Tokens: 3}))
	require.Equal(t, first.PromptTokens, reset.PromptTokens)

	for range w.Chat(within(t), session.ChatRequest{Conversation: "c", Message: "hello"}) {
		_, err := gathered(w.Chat(within(t), session.ChatRequest{Conversation: "c", Message: "me too"}))
		require.EqualError(t, err, `conversation "c" with first is being answered; wait for that, or use another name`)
		break
	}
	say("c", "hello") // which was left, and goes on
}

func TestOldConversationsGiveTheirStatesBack(t *testing.T) {
	elsewhere(t)
	w := workbenchHere(t)
	fullyTrained(t, w, tinyRequest(t, "first", 2))
	for i := range keptStates + 2 {
		asked(t, w.Chat(within(t), session.ChatRequest{Conversation: fmt.Sprint(i), Message: "hello", Tokens: 1}))
	}
	kept := 0
	for _, c := range w.conversations {
		if c.session.Stats().StateBytes > 0 {
			kept++
		}
	}
	require.Equal(t, keptStates, kept)
	require.Len(t, w.conversations, keptStates+2)
}

func TestOneTrainingRunsAtATime(t *testing.T) {
	elsewhere(t)
	w, ctx := workbenchHere(t), within(t)
	_, err := w.Train(ctx, tinyRequest(t, "long", 1_000_000, "log_every=1"))
	require.NoError(t, err)
	for event, err := range w.Watch(ctx, "long") {
		require.NoError(t, err)
		if event.Record.Kind == EventStep {
			break // leaving ends the watching, not the training
		}
	}
	_, err = w.Train(ctx, tinyRequest(t, "second", 2))
	require.Regexp(t, `^train second: the session is training long, at step \d+ of 1000000, and trains one run at a time; wait for it, or stop it with: workbench session stop long$`, err)
	_, err = w.Train(ctx, session.TrainRequest{Resume: "long"})
	require.ErrorContains(t, err, "lock run long: it is being written by this process; wait for it, stop it, or choose another run")
	_, err = w.StopTraining(ctx, "second")
	require.EqualError(t, err, "stop second: it is not being trained by this session; that is long")

	waited := make(chan error, 1)
	go func() {
		r := tinyRequest(t, "second", 2)
		r.Wait = true
		_, err := w.Train(ctx, r)
		waited <- err
	}()
	stopped, err := w.StopTraining(ctx, "long")
	require.NoError(t, err)
	require.Equal(t, session.Stopped, stopped.State)
	require.DirExists(t, filepath.Join(stopped.Folder, fmt.Sprintf("step-%06d", stopped.Step)), "its checkpoint")
	require.NoError(t, <-waited)
	_, err = gathered(w.Watch(ctx, "second"))
	require.NoError(t, err)
}

func TestClosingStopsATrainingWithACheckpoint(t *testing.T) {
	elsewhere(t)
	w, ctx := NewWorkbench(func(string) {}), within(t)
	_, err := w.Train(ctx, tinyRequest(t, "long", 1_000_000, "log_every=1"))
	require.NoError(t, err)
	closed := false
	events, err := gathered(func(yield func(session.Event, error) bool) {
		for event, err := range w.Watch(ctx, "long") {
			if event.Record.Kind == EventStep && !closed {
				closed = true
				require.NoError(t, w.Close())
			}
			if !yield(event, err) {
				return
			}
		}
	})
	require.NoError(t, err)
	last := events[len(events)-1].Training
	require.Equal(t, session.Stopped, last.State)
	require.DirExists(t, filepath.Join("runs", "long", fmt.Sprintf("step-%06d", last.Step)))
	_, err = w.Train(ctx, tinyRequest(t, "more", 1))
	require.ErrorIs(t, err, errClosing)
	_, err = gathered(w.Sample(ctx, session.SampleRequest{}))
	require.ErrorIs(t, err, errClosing)
}

func TestARunThatAnotherProcessWritesIsLeftAlone(t *testing.T) {
	elsewhere(t)
	w := workbenchHere(t)
	fullyTrained(t, w, tinyRequest(t, "first", 2))
	run, err := OpenRun("first")
	require.NoError(t, err)
	lock, err := runlog.TakeLock(run.Folder, []string{"/bin/workbench", "train"})
	require.NoError(t, err)
	_, err = TrainConfig(within(t), run.Info.Config, TrainOptions{Resume: run})
	require.EqualError(t, err, "lock run first: it is being written by this process; wait for it, stop it, or choose another run")
	w.trainings = nil // as after a restart
	events, err := gathered(w.Watch(within(t), "first"))
	require.NoError(t, err)
	last := events[len(events)-1].Training
	require.Equal(t, session.Ended, last.State)
	require.Equal(t, 2, last.Step)
	require.Contains(t, last.Problem, "first is being written by this process; this is what it wrote so far")
	require.NoError(t, os.WriteFile(filepath.Join("runs", "first", runlog.LockFile), []byte(`{"pid": 7, "command": ["/bin/workbench", "train"]}`), 0o600))
	_, err = w.Train(within(t), session.TrainRequest{Resume: "first"})
	require.EqualError(t, err, "lock run first: it is being written by process 7 (workbench train); wait for it, stop it, or choose another run")
	lock.Release()
	_, err = runlog.TakeLock(run.Folder, nil)
	require.NoError(t, err)
}

func TestLoadedRunsUnusedLongestGo(t *testing.T) {
	elsewhere(t)
	w := workbenchHere(t)
	fullyTrained(t, w, tinyRequest(t, "run0", 2))
	for i := range keptRuns + 1 {
		name := fmt.Sprintf("run%d", i)
		if i > 0 {
			require.NoError(t, os.CopyFS(filepath.Join("runs", name), os.DirFS(filepath.Join("runs", "run0"))))
		}
		_, err := w.Load(within(t), session.ModelRequest{Run: name})
		require.NoError(t, err)
	}
	status, err := w.Status(within(t))
	require.NoError(t, err)
	require.Len(t, status.Models, keptRuns)
	require.Equal(t, "run1", status.Models[0].Run)
}

func TestWrongRequestsAreRefusedAtOnce(t *testing.T) {
	elsewhere(t)
	w, ctx := workbenchHere(t), within(t)
	fullyTrained(t, w, tinyRequest(t, "first", 2))
	train := func(r session.TrainRequest) func() error {
		return func() error { _, err := w.Train(ctx, r); return err }
	}
	broken := tinyRequest(t, "x", 2)
	broken.Config = json.RawMessage(strings.Replace(string(broken.Config), `"vocab":300`, `"vocab":3`, 1))
	for name, x := range map[string]struct {
		call func() error
		says string
	}{
		"no configuration":       {train(session.TrainRequest{}), "train: there is no configuration; give one, or a run to resume"},
		"no JSON":                {train(session.TrainRequest{Config: json.RawMessage(`[]`)}), "train: the configuration is not understood"},
		"an impossible value":    {train(broken), "train: vocab 3: too small"},
		"a name that is taken":   {train(tinyRequest(t, "first", 2)), `make run "first": runs/first exists`},
		"an unknown run":         {train(session.TrainRequest{Resume: "nobody"}), `open run "nobody": there is no folder runs/nobody; there are first`},
		"another backend":        {func() error { _, err := w.Load(ctx, session.ModelRequest{Run: "first", Backend: "cuda"}); return err }, `backend "cuda": the session has one device, and opened go`},
		"an unknown run to load": {func() error { _, err := w.Load(ctx, session.ModelRequest{Run: "nobody"}); return err }, "there are first"},
		"watching nobody":        {func() error { _, err := gathered(w.Watch(ctx, "nobody")); return err }, "there are first"},
		"stopping nothing":       {func() error { _, err := w.StopTraining(ctx, "first"); return err }, "stop first: it is not being trained by this session; no run is"},
		"an empty message":       {func() error { _, err := gathered(w.Chat(ctx, session.ChatRequest{})); return err }, "it is empty; give it some text"},
		"a wrong temperature": {func() error {
			_, err := gathered(w.Sample(ctx, session.SampleRequest{Sampling: session.Sampling{Temperature: -1}}))
			return err
		}, "temperature -1: must lie between 0 and 100"},
	} {
		t.Run(name, func(t *testing.T) { require.ErrorContains(t, x.call(), x.says) })
	}
}

func TestATrainingThatFailsSaysWhy(t *testing.T) {
	elsewhere(t)
	w := workbenchHere(t)
	training, err := w.Train(within(t), tinyRequest(t, "first", 2, "data=nothing.txt"))
	require.NoError(t, err)
	events, err := gathered(w.Watch(within(t), training.Run))
	require.NoError(t, err)
	last := events[len(events)-1].Training
	require.Equal(t, session.Failed, last.State)
	require.Contains(t, last.Problem, "nothing.txt")
}

func TestATrainingOfMinutesInASessionTellsTheStepsThatItFound(t *testing.T) {
	elsewhere(t)
	w := workbenchHere(t)
	request := tinyRequest(t, "timed", 1, "log_every=1", "sample_every=2")
	var c config.Config
	require.NoError(t, json.Unmarshal(request.Config, &c))
	c.Train.Steps, c.Train.Minutes = 0, 0.005
	var err error
	request.Config, err = json.Marshal(c)
	require.NoError(t, err)
	events := fullyTrained(t, w, request)
	again, err := gathered(workbenchHere(t).Watch(within(t), "timed"))
	require.NoError(t, err)
	for _, events := range [][]session.Event{events, again} {
		last := events[len(events)-1].Training
		require.Equal(t, last.Step, last.Steps)
		sampled := 0
		for _, event := range events {
			if e := EventOf(event); e.Kind == EventSample && e.Step < e.Steps {
				sampled++ // as of a training that is not in a session, those before the last are shown
			}
		}
		require.Positive(t, sampled)
	}
}
