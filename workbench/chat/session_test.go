package chat_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tandem/workbench/chat"
	"tandem/workbench/generate"
)

// ask asks and expects an answer of one text.
func ask(t testing.TB, session *chat.Session, text, want string, o chat.Options) {
	t.Helper()
	require.Equal(t, chat.TextContent(want), said(t, session.Ask(context.Background(), text, o)))
}

func newSession(t testing.TB, engine *fakeEngine, system string) *chat.Session {
	t.Helper()
	session := chat.NewSession(newModel(t, engine), system)
	t.Cleanup(session.Close)
	return session
}

func TestATurnFeedsOnlyWhatIsNew(t *testing.T) {
	engine := &fakeEngine{next: scripted(script("one"), script("two"), script("three"))}
	session := newSession(t, engine, "sys")
	ask(t, session, "a", "one", chat.Options{})
	require.Zero(t, session.Stats().Last.Reused)
	first := engine.fed
	ask(t, session, "bb", "two", chat.Options{})
	require.Equal(t, len("two")+len("bb")+4, engine.fed-first, "the question, its borders and the answer")
	require.Equal(t, first, session.Stats().Last.Reused)
	ask(t, session, "c", "three", chat.Options{})

	stats := session.Stats()
	require.Equal(t, 7, stats.Messages)
	require.Equal(t, engine.fed, stats.Tokens, "no token was fed twice")
	require.Equal(t, int64(100), stats.StateBytes)
	require.Equal(t, generate.FinishStop, stats.Finish)
	require.NoError(t, session.Conversation().Validate())
}

func TestAToolCallIsPartOfTheConversation(t *testing.T) {
	engine := &fakeEngine{next: scripted(
		script(special("python_start"), "1+1", special("python_end"), special("output_start"), "2", special("output_end"), "two"), script("ok"))}
	session := newSession(t, engine, "")
	said(t, session.Ask(context.Background(), "q", chat.Options{}))
	ask(t, session, "r", "ok", chat.Options{})
	require.Equal(t, chat.Content{{chat.Python, "1+1"}, {chat.Output, "2"}, {chat.Text, "two"}}, session.Conversation().Messages[1].Content)
	require.Equal(t, engine.fed, session.Stats().Tokens, "no token was fed twice")
}

func TestAStateThatTheEngineRefusesIsLeft(t *testing.T) {
	for name, spoil := range map[string]func(*fakeEngine){
		"at once":    func(e *fakeEngine) { e.refuse = true },
		"in the row": func(e *fakeEngine) { e.stale = true },
	} {
		t.Run(name, func(t *testing.T) {
			engine := &fakeEngine{next: scripted(script("one"), script("two"))}
			session := newSession(t, engine, "")
			ask(t, session, "a", "one", chat.Options{})
			spoil(engine)
			ask(t, session, "b", "two", chat.Options{})
			require.Zero(t, session.Stats().Last.Reused)
		})
	}
}

func TestAStoppedAnswerStaysAndTheStateGoesOn(t *testing.T) {
	engine := &fakeEngine{next: scripted(script("one"), script("abcdef"), script("three"))}
	session := newSession(t, engine, "")
	ask(t, session, "a", "one", chat.Options{})
	for delta, err := range session.Ask(context.Background(), "b", chat.Options{}) {
		require.NoError(t, err)
		if delta.Text == "c" {
			break
		}
	}
	require.Empty(t, session.Stats().Finish)
	require.Equal(t, "abc", session.Conversation().Messages[3].Content.Text())
	before := engine.fed
	ask(t, session, "c", "three", chat.Options{})
	require.Less(t, engine.fed-before, 12)
}

func TestAnAnswerThatCannotGoOnAfterAToolCallStays(t *testing.T) {
	engine := &fakeEngine{busy: true, next: scripted(script("= ", special("python_start"), "1+1", special("python_end")), script("ok"))}
	session := newSession(t, engine, "")
	var last error
	for _, err := range session.Ask(context.Background(), "q", chat.Options{}) {
		last = err
	}
	require.ErrorIs(t, last, generate.ErrBusy)
	require.Equal(t, chat.Content{{chat.Text, "= "}, {chat.Python, "1+1"}, {chat.Output, "2"}}, session.Conversation().Messages[1].Content)
	engine.busy = false
	ask(t, session, "r", "ok", chat.Options{})
	require.Positive(t, session.Stats().Last.Reused)
}

func TestAStoppedAnswerOfNothingLeavesNoTrace(t *testing.T) {
	session := newSession(t, &fakeEngine{next: scripted(script("one"))}, "sys")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, err := range session.Ask(ctx, "a", chat.Options{}) {
		require.ErrorIs(t, err, context.Canceled)
	}
	require.Len(t, session.Conversation().Messages, 1)
	ask(t, session, "a", "one", chat.Options{})
}

func TestAStopStringIsNotRemembered(t *testing.T) {
	engine := &fakeEngine{next: scripted(script("one END two"), script("three"))}
	session := newSession(t, engine, "")
	ask(t, session, "a", "one ", chat.Options{Stop: []string{"END"}})
	ask(t, session, "b", "three", chat.Options{})
	prompt, err := newTemplate(t).Prompt(chat.Conversation{Messages: session.Conversation().Messages[:3]})
	require.NoError(t, err)
	require.Equal(t, len(prompt), session.Stats().Last.Prompt)
}

func TestTheOldestExchangesAreForgottenForRoom(t *testing.T) {
	var prompts []string
	engine := &fakeEngine{capacity: 80, next: func(history []int32) int32 {
		if text := bytesOnly().Decode(history); strings.HasSuffix(text, "<|assistant_start|>") {
			prompts = append(prompts, text)
			require.LessOrEqual(t, len(history), 80)
			return 'y'
		}
		return special("assistant_end")
	}}
	session := newSession(t, engine, "SYS")
	for range 12 {
		ask(t, session, "0123456789", "y", chat.Options{MaxTokens: 4, Overflow: chat.OverflowForget})
	}
	reused := 0
	for _, prompt := range prompts {
		require.True(t, strings.HasPrefix(prompt, "<|bos|><|user_start|>SYS\n\n0123"), "the system message stays")
	}
	require.Len(t, session.Conversation().Messages, 25, "all is still there to be saved")
	for range 3 {
		ask(t, session, "0123456789", "y", chat.Options{MaxTokens: 4, Overflow: chat.OverflowForget})
		if session.Stats().Last.Reused > 0 {
			reused++
		}
	}
	require.GreaterOrEqual(t, reused, 1, "forgetting makes room for some turns")
	require.LessOrEqual(t, session.Stats().Tokens, 80)
}

func TestAConversationCanBeReplaced(t *testing.T) {
	engine := &fakeEngine{next: scripted(script("one"), script("two"), script("three"))}
	session := newSession(t, engine, "old")
	require.Equal(t, "old", session.System())
	ask(t, session, "a", "one", chat.Options{})
	saved := session.Conversation()
	ask(t, session, "b", "two", chat.Options{})

	require.NoError(t, session.SetSystem("new"))
	require.Equal(t, "new", session.System())
	ask(t, session, "c", "three", chat.Options{})
	require.Zero(t, session.Stats().Last.Reused)
	require.NoError(t, session.SetSystem(""))
	require.Empty(t, session.System())
	require.ErrorContains(t, session.SetSystem("\xff"), "not valid UTF-8 at byte 0")

	require.NoError(t, session.SetConversation(saved))
	require.Equal(t, len("<old\n\na><one>")+1, session.Stats().Tokens)
	ask(t, session, "b", "two", chat.Options{})
	require.ErrorContains(t, session.SetConversation(saved.With(chat.User, "q")), "the last message is the user's")
	require.ErrorContains(t, session.SetConversation(saved.With(chat.Assistant, "q")), "must alternate")

	session.Clear()
	require.Equal(t, "old", session.System())
	require.Zero(t, session.Stats().StateBytes)
	require.Equal(t, 1, session.Stats().Tokens, "<|bos|> alone")
	require.Zero(t, engine.live)
	ask(t, session, "a", "one", chat.Options{})
}

func TestACacheFindsTheLongestThread(t *testing.T) {
	engine := &fakeEngine{next: scripted(script("one"), script("two"), script("three"))}
	model := newModel(t, engine)
	cache := chat.NewCache(250)
	t.Cleanup(cache.Close)
	c := chat.NewConversation("")
	for i, want := range []string{"one", "two"} {
		c = c.With(chat.User, "q")
		thread := cache.Take(c)
		require.Equal(t, i > 0, thread != nil)
		a, err := model.Answer(context.Background(), c, thread, chat.Options{Keep: true})
		require.NoError(t, err)
		require.Equal(t, chat.TextContent(want), said(t, a.Deltas()))
		cache.Put(thread)
		cache.Put(a.Thread())
		c = c.With(chat.Assistant, want)
	}
	require.Equal(t, int64(200), cache.Bytes(), "both turns' states")
	thread := cache.Take(c.With(chat.User, "r"))
	require.Equal(t, len(script(special("bos"), special("user_start"), "q", special("user_end"), special("assistant_start"), "one", special("assistant_end"),
		special("user_start"), "q", special("user_end"), special("assistant_start"), "two")), thread.Tokens(), "the longer one")
	cache.Put(thread)
	require.Nil(t, cache.Take(chat.NewConversation("other").With(chat.User, "q")))

	for _, question := range []string{"x", "y"} {
		a, err := model.Answer(context.Background(), chat.NewConversation("").With(chat.User, question), nil, chat.Options{Keep: true})
		require.NoError(t, err)
		said(t, a.Deltas())
		cache.Put(a.Thread())
	}
	require.Equal(t, int64(200), cache.Bytes(), "the older ones made room")
	require.Nil(t, cache.Take(c.With(chat.User, "r")))
	cache.Close()
	require.Zero(t, cache.Bytes())
	a, err := model.Answer(context.Background(), c.With(chat.User, "r"), nil, chat.Options{Keep: true})
	require.NoError(t, err)
	said(t, a.Deltas())
	cache.Put(a.Thread())
	require.Zero(t, engine.live)
}
