package chat_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tandem/workbench/chat"
	"tandem/workbench/generate"
)

// answer asks one question and returns what came, and the answer after its end.
func answer(t testing.TB, model *chat.Model, o chat.Options) (chat.Content, *chat.Answer) {
	t.Helper()
	a, err := model.Answer(context.Background(), chat.NewConversation("").With(chat.User, "q"), nil, o)
	require.NoError(t, err)
	content := said(t, a.Deltas())
	require.Equal(t, a.Content(), content, "the pieces joined are the content")
	return content, a
}

func TestAToolIsCalledAndItsOutputForced(t *testing.T) {
	calculation := script("= ", special("python_start"), "6*7", special("python_end"))
	forced := script(special("output_start"), "42", special("output_end"))
	full := append(append(append([]int32{}, calculation...), forced...), script(" done")...)
	engine := &fakeEngine{next: scripted(full)}
	content, a := answer(t, newModel(t, engine), chat.Options{})
	require.Equal(t, chat.Content{{chat.Text, "= "}, {chat.Python, "6*7"}, {chat.Output, "42"}, {chat.Text, " done"}}, content)
	require.Equal(t, generate.FinishStop, a.Finish())
	require.Equal(t, len(calculation)+len(" done"), a.Usage().Answer, "forced tokens are not the model's")
	require.Equal(t, 2, engine.starts)
	require.Equal(t, a.Usage().Prompt+len(full), engine.fed, "every token was fed once")
}

func TestAToolThatFailsGivesNoOutput(t *testing.T) {
	full := script(special("python_start"), "1/0", special("python_end"), "well")
	a, err := newModel(t, &fakeEngine{next: scripted(full)}).Answer(context.Background(), chat.NewConversation("").With(chat.User, "q"), nil, chat.Options{})
	require.NoError(t, err)
	var problems []string
	for delta, err := range a.Deltas() {
		require.NoError(t, err)
		if delta.Problem != "" {
			problems = append(problems, delta.Problem)
		}
	}
	require.Equal(t, []string{`calculator: "1/0": division by zero`}, problems)
	require.Equal(t, chat.Content{{chat.Python, "1/0"}, {chat.Text, "well"}}, a.Content())
}

func TestAToolOfTheCallersIsBounded(t *testing.T) {
	full := script(special("python_start"), "x", special("python_end"), "ok")
	for name, test := range map[string]struct {
		tool chat.Tool
		want chat.Content
	}{
		"a long result is refused":      {func(context.Context, string) (string, error) { return strings.Repeat("9", 1001), nil }, chat.Content{{chat.Python, "x"}, {chat.Text, "ok"}}},
		"an empty one is an empty part": {func(context.Context, string) (string, error) { return "", nil }, chat.Content{{chat.Python, "x"}, {chat.Output, ""}}},
	} {
		t.Run(name, func(t *testing.T) {
			content, _ := answer(t, newModel(t, &fakeEngine{next: scripted(full)}), chat.Options{Tool: test.tool, MaxTokens: 5})
			require.Equal(t, test.want, content[:len(test.want)])
		})
	}
}

func TestAnEndlessRowOfToolCallsEnds(t *testing.T) {
	call := script(special("python_start"), special("python_end"))
	engine := &fakeEngine{next: func(history []int32) int32 {
		if history[len(history)-1] == call[0] {
			return call[1]
		}
		return call[0]
	}}
	_, a := answer(t, newModel(t, engine), chat.Options{MaxTokens: 9})
	require.Equal(t, generate.FinishLength, a.Finish())
	require.Equal(t, 9, a.Usage().Answer)
}

func TestSpecialTokensThatTheModelDrawsAreNoText(t *testing.T) {
	for name, test := range map[string]struct {
		script []int32
		want   chat.Content
	}{
		"the end of a tool call that did not begin": {script("a", special("python_end"), "b"), chat.Content{{chat.Text, "ab"}}},
		"an output that the model makes up":         {script(special("output_start"), "7", special("output_end"), "b"), chat.Content{{chat.Output, "7"}, {chat.Text, "b"}}},
		"a tool call within a tool call":            {script(special("python_start"), "1", special("python_start"), "2"), chat.Content{{chat.Python, "1"}, {chat.Python, "2"}}},
		"the user's turn":                           {script("a", special("user_start"), "b"), chat.Content{{chat.Text, "a"}}},
		"a new document":                            {script("a", special("bos"), "b"), chat.Content{{chat.Text, "a"}}},
		"nothing at all":                            {script(special("assistant_end")), nil},
	} {
		t.Run(name, func(t *testing.T) {
			content, a := answer(t, newModel(t, &fakeEngine{next: scripted(test.script)}), chat.Options{})
			require.Equal(t, test.want, content)
			require.Equal(t, generate.FinishStop, a.Finish())
		})
	}
}

func TestAnAnswerEndsByTokensCapacityAndStopStrings(t *testing.T) {
	endless := func([]int32) int32 { return 'a' }
	for name, test := range map[string]struct {
		next     func([]int32) int32
		options  chat.Options
		capacity int
		want     string
		finish   string
	}{
		"tokens":                        {endless, chat.Options{MaxTokens: 3}, 100, "aaa", generate.FinishLength},
		"capacity":                      {endless, chat.Options{}, 10, "aaaaaa", generate.FinishCapacity},
		"a stop string":                 {scripted(script("one, two")), chat.Options{Stop: []string{", t"}}, 100, "one", generate.FinishStop},
		"a stop string that only began": {scripted(script("one, t")), chat.Options{Stop: []string{", two"}}, 100, "one, t", generate.FinishStop},
		"half a character":              {scripted(script("é", byte(0xe2), byte(0x82))), chat.Options{}, 100, "é\uFFFD\uFFFD", generate.FinishStop},
	} {
		t.Run(name, func(t *testing.T) {
			content, a := answer(t, newModel(t, &fakeEngine{next: test.next, capacity: test.capacity}), test.options)
			require.Equal(t, chat.TextContent(test.want), content)
			require.Equal(t, test.finish, a.Finish())
		})
	}
}

func TestACompletionIsContinuedText(t *testing.T) {
	engine := &fakeEngine{next: func(history []int32) int32 { return history[len(history)-1] + 1 }}
	a, err := newModel(t, engine).Complete(context.Background(), "abc", chat.Options{MaxTokens: 3, Keep: true})
	require.NoError(t, err)
	require.Equal(t, chat.TextContent("def"), said(t, a.Deltas()))
	require.Equal(t, 4, a.Usage().Prompt, "with the token that begins a document")
	require.Nil(t, a.Thread())
}

func TestQuestionsThatCannotBeAnsweredAreRefused(t *testing.T) {
	model := newModel(t, &fakeEngine{next: scripted(), capacity: 20})
	question := chat.NewConversation("").With(chat.User, "q")
	for name, test := range map[string]struct {
		conversation chat.Conversation
		options      chat.Options
		want         string
	}{
		"no conversation":        {chat.Conversation{}, chat.Options{}, "has no message"},
		"no question":            {question.With(chat.Assistant, "a"), chat.Options{}, "the last message is of the assistant"},
		"negative tokens":        {question, chat.Options{MaxTokens: -1}, "max tokens -1: may not be negative"},
		"a negative temperature": {question, chat.Options{Sampling: generate.Sampling{Temperature: -1}}, "temperature -1: must lie between"},
		"an empty stop string":   {question, chat.Options{Stop: []string{"a", ""}}, "stop string 1 is empty"},
		"a huge stop string":     {question, chat.Options{Stop: []string{strings.Repeat("a", 257)}}, "at most 256"},
		"many stop strings":      {question, chat.Options{Stop: strings.Split(strings.Repeat("a ", 17), " ")}, "18 stop strings: at most 16"},
		"a long question":        {chat.NewConversation("").With(chat.User, strings.Repeat("a", 30)), chat.Options{}, "the conversation is too long: it has 34 tokens and the context is 20"},
		"a long last question":   {chat.NewConversation("").With(chat.User, strings.Repeat("a", 30)), chat.Options{Overflow: chat.OverflowForget}, "the conversation is too long"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := model.Answer(context.Background(), test.conversation, nil, test.options)
			require.ErrorContains(t, err, test.want)
		})
	}
	_, err := model.Answer(context.Background(), chat.NewConversation("").With(chat.User, strings.Repeat("a", 30)), nil, chat.Options{})
	require.ErrorIs(t, err, chat.ErrTooLong)
	_, err = model.Complete(context.Background(), strings.Repeat("a", 30), chat.Options{})
	require.ErrorIs(t, err, chat.ErrTooLong)
	_, err = model.Complete(context.Background(), "a\xff", chat.Options{})
	require.ErrorContains(t, err, "not valid UTF-8 at byte 1")
}

func TestALeftAnswerIsCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	drawn := 0
	engine := &fakeEngine{next: func([]int32) int32 { drawn++; return 'a' }}
	model := newModel(t, engine)
	question := chat.NewConversation("").With(chat.User, "q")

	a, err := model.Answer(ctx, question, nil, chat.Options{})
	require.NoError(t, err)
	for range a.Deltas() {
		break
	}
	require.Equal(t, 1, drawn)
	require.Empty(t, a.Finish())
	require.Equal(t, chat.TextContent("a"), a.Content())

	a, err = model.Answer(ctx, question, nil, chat.Options{})
	require.NoError(t, err)
	var last error
	for _, err := range a.Deltas() {
		last = err
		cancel()
	}
	require.ErrorIs(t, last, context.Canceled)

	a, err = model.Answer(context.Background(), question, nil, chat.Options{})
	require.NoError(t, err)
	a.Close()
	a.Close()
	for range a.Deltas() {
		t.Fatal("a closed answer gives nothing")
	}
}

// FuzzToolParser draws any tokens, as an untrained model does, and checks that the answer stays whole.
func FuzzToolParser(f *testing.F) {
	f.Add([]byte("hi\xf8" + "1+1\xf9 ok\xfb"))
	f.Add([]byte("\xfa\xf9\xf9\xfa\xfb\xfb\xe2\x82"))
	f.Fuzz(func(t *testing.T, drawn []byte) {
		names := []string{"python_start", "python_end", "output_start", "output_end", "assistant_start", "user_end"}
		at := 0
		engine := &fakeEngine{next: func([]int32) int32 {
			if at == len(drawn) {
				return special("assistant_end")
			}
			at++
			if b := int(drawn[at-1]); b >= 0xf8 && b-0xf8 < len(names) {
				return special(names[b-0xf8])
			}
			return int32(drawn[at-1])
		}}
		failing := func(_ context.Context, code string) (string, error) {
			if strings.Contains(code, "x") {
				return "", errors.New("x")
			}
			return code + code, nil
		}
		content, a := answer(t, newModel(t, engine), chat.Options{Tool: failing, Stop: []string{"stop"}, MaxTokens: 300})
		require.NotEmpty(t, a.Finish())
		require.NoError(t, chat.Conversation{Messages: []chat.Message{{chat.User, chat.TextContent("q")}, {chat.Assistant, content}}}.Validate())
		for i, part := range content {
			if part.Type == chat.Text {
				require.NotContains(t, part.Text, "stop")
				require.NotEmpty(t, part.Text)
				require.False(t, i > 0 && content[i-1].Type == chat.Text, "texts that follow one another are one")
			}
		}
	})
}
