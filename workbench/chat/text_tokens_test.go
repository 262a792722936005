package chat_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"tandem/workbench/chat"
)

func TestTextTokensAreThoseOfTheTextAndNoOthers(t *testing.T) {
	full := append(script("é ", special("python_start"), "1+1", special("output_end"), special("python_end")),
		append(script(special("output_start"), "2", special("output_end")), script(special("output_end"), "so", special("output_start"), "x", special("output_end"), "!")...)...)
	a, err := newModel(t, &fakeEngine{next: scripted(full)}).Answer(t.Context(), chat.NewConversation("").With(chat.User, "q"), nil, chat.Options{})
	require.NoError(t, err)
	var all []byte
	count, next := 0, 0
	more := func() {
		var tokens []chat.TextToken
		tokens, next = a.TextTokens(next)
		count += len(tokens)
		for _, token := range tokens {
			all = append(all, token.Bytes...)
			require.Equal(t, -float32(token.Bytes[0]), token.LogProb, "a byte's id is its value")
		}
	}
	for _, err := range a.Deltas() {
		require.NoError(t, err)
		more()
	}
	more()
	require.Equal(t, "é so!", string(all))
	require.Equal(t, len("é so!"), count)
	require.Equal(t, string(all), a.Content().Text())
	tokens, _ := a.TextTokens(0)
	require.Len(t, tokens, count)
}
