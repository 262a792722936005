package chat_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"tandem/workbench/chat"
	"tandem/workbench/generate"
)

// answered draws an answer to its end.
func answered(t testing.TB, model *chat.Model, thread *chat.Thread, o chat.Options) *chat.Answer {
	t.Helper()
	answer, err := model.Answer(t.Context(), chat.Conversation{}.With(chat.User, "q"), thread, o)
	require.NoError(t, err)
	for _, err := range answer.Deltas() {
		require.NoError(t, err)
	}
	return answer
}

func TestATraceTellsDrawnTokensFromPromptAndToolOutput(t *testing.T) {
	prompt := script(special("bos"), special("user_start"), "q", special("user_end"), special("assistant_start"))
	code := script("a", special("python_start"), "1+1", special("python_end"))
	output := script(special("output_start"), "2", special("output_end"))
	model := newModel(t, &fakeEngine{next: scripted(append(append(append([]int32{}, code...), output...), script("b")...))})
	for name, test := range map[string]struct {
		limit int
		parts [][]int32 // prompt, drawn, forced, drawn
	}{
		"that ended":               {0, [][]int32{prompt, code, output, script("b", special("assistant_end"))}},
		"that was cut in the text": {len(code) + 1, [][]int32{prompt, code, output, script("b")}},
		"that was cut in a call":   {3, [][]int32{prompt, code[:3]}},
	} {
		t.Run(name, func(t *testing.T) {
			var want chat.Trace
			for i, part := range test.parts {
				for _, id := range part {
					want.Tokens, want.Drawn = append(want.Tokens, id), append(want.Drawn, i%2 == 1)
					want.LogProbs = append(want.LogProbs, 0)
					if i%2 == 1 {
						want.LogProbs[len(want.LogProbs)-1] = -float32(id)
					}
				}
			}
			require.Equal(t, want, answered(t, model, nil, chat.Options{MaxTokens: test.limit}).Trace())
		})
	}
}

func TestATraceAfterAStopStringHoldsAllThatWasDrawn(t *testing.T) {
	answer := script("ab and the rest")
	model := newModel(t, &fakeEngine{next: scripted(answer)})
	ended := answered(t, model, nil, chat.Options{Stop: []string{"b and"}})
	require.Equal(t, chat.TextContent("a"), ended.Content())
	trace := ended.Trace()
	prompt := script(special("bos"), special("user_start"), "q", special("user_end"), special("assistant_start"))
	require.Equal(t, append(prompt, answer[:len("ab and")]...), trace.Tokens)
	require.Len(t, trace.LogProbs, len(trace.Tokens))
	for i, drawn := range trace.Drawn {
		require.Equal(t, i >= len(prompt), drawn, "token %d", i)
	}
}

func TestAPrimedPromptIsFedOnceForAllItsAnswers(t *testing.T) {
	engine := &fakeEngine{next: scripted(script("one"))}
	model := newModel(t, engine)
	thread, err := model.Prime(t.Context(), chat.Conversation{}.With(chat.User, "q"))
	require.NoError(t, err)
	defer thread.Release()
	fed := engine.fed
	require.Equal(t, 4, fed, "all but the prompt's last token")
	for range 3 {
		answer := answered(t, model, thread, chat.Options{})
		require.Equal(t, chat.TextContent("one"), answer.Content())
		require.Equal(t, 4, answer.Usage().Reused)
		require.Equal(t, generate.FinishStop, answer.Finish())
	}
	require.Equal(t, fed+3*4, engine.fed, "that token, and the answer's three")

	_, err = model.Prime(t.Context(), chat.Conversation{})
	require.Error(t, err)
	engine.stale = true
	engine.busy = true
	_, err = model.Prime(t.Context(), chat.Conversation{}.With(chat.User, "q"))
	require.True(t, errors.Is(err, generate.ErrBusy), err)
}
