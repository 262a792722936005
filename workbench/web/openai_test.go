package web_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/stretchr/testify/require"

	"tandem/workbench/web"
)

// client is OpenAI's own, which neither retries nor talks to anyone else.
func client(server *httptest.Server, token string) openai.Client {
	return openai.NewClient(option.WithBaseURL(server.URL+"/v1/"), option.WithAPIKey(token), option.WithMaxRetries(0))
}

func asks(texts ...string) openai.ChatCompletionNewParams {
	params := openai.ChatCompletionNewParams{Model: "tiny"}
	for i, text := range texts {
		if i%2 == 0 {
			params.Messages = append(params.Messages, openai.UserMessage(text))
		} else {
			params.Messages = append(params.Messages, openai.AssistantMessage(text))
		}
	}
	return params
}

func TestOpenAIsClientGetsAWholeAnswer(t *testing.T) {
	api := client(listening(t, &fakeEngine{}, nil), "any")
	params := asks("héllo")
	params.Messages = append([]openai.ChatCompletionMessageParamUnion{openai.SystemMessage("be kind")}, params.Messages...)
	answer, err := api.Chat.Completions.New(context.Background(), params)
	require.NoError(t, err)
	require.Equal(t, "be kind\n\nhéllo", answer.Choices[0].Message.Content)
	require.Equal(t, "stop", answer.Choices[0].FinishReason)
	require.Equal(t, "tiny", answer.Model)
	require.EqualValues(t, "chat.completion", answer.Object)
	require.EqualValues(t, 15, answer.Usage.CompletionTokens)
	require.EqualValues(t, 15+4, answer.Usage.PromptTokens) // and bos, user_start, user_end, assistant_start
	require.EqualValues(t, 15+19, answer.Usage.TotalTokens)
}

func TestOpenAIsClientStreamsAnAnswerInWholeCharacters(t *testing.T) {
	api := client(listening(t, &fakeEngine{}, nil), "any")
	params := asks("naïve 日本 🙂")
	params.StreamOptions.IncludeUsage = openai.Bool(true)
	stream := api.Chat.Completions.NewStreaming(context.Background(), params)
	defer stream.Close()
	var all openai.ChatCompletionAccumulator
	pieces := 0
	for stream.Next() {
		chunk := stream.Current()
		require.True(t, all.AddChunk(chunk))
		if len(chunk.Choices) > 0 && chunk.Choices[0].Delta.Content != "" {
			pieces++
		}
	}
	require.NoError(t, stream.Err())
	require.Equal(t, "naïve 日本 🙂", all.Choices[0].Message.Content)
	require.Equal(t, len([]rune("naïve 日本 🙂")), pieces)
	require.Equal(t, "stop", all.Choices[0].FinishReason)
	require.EqualValues(t, len("naïve 日本 🙂"), all.Usage.CompletionTokens)
}

func TestOpenAIsClientContinuesATextAndListsModels(t *testing.T) {
	api := client(listening(t, &fakeEngine{}, nil), "any")
	params := openai.CompletionNewParams{Model: "tiny", Prompt: openai.CompletionNewParamsPromptUnion{OfString: openai.String("abcdef")}, MaxTokens: openai.Int(3)}
	answer, err := api.Completions.New(context.Background(), params)
	require.NoError(t, err)
	require.Equal(t, "abc", answer.Choices[0].Text)
	require.EqualValues(t, "length", answer.Choices[0].FinishReason)
	stream := api.Completions.NewStreaming(context.Background(), params)
	text := ""
	for stream.Next() {
		text += stream.Current().Choices[0].Text
	}
	require.NoError(t, stream.Err())
	require.Equal(t, "abc", text)

	models, err := api.Models.List(context.Background())
	require.NoError(t, err)
	require.Equal(t, "tiny", models.Data[0].ID)
	one, err := api.Models.Get(context.Background(), "tiny")
	require.NoError(t, err)
	require.EqualValues(t, 1, one.Created)
	require.Contains(t, one.RawJSON(), `"pattern":"TMMTMM"`)
}

func TestOpenAIsClientGetsTheLogProbabilitiesOfChosenTokens(t *testing.T) {
	api := client(listening(t, &fakeEngine{}, nil), "any")
	const text = "é\n日"
	check := func(tokens []openai.ChatCompletionTokenLogprob) {
		require.Len(t, tokens, len(text))
		for i, token := range tokens {
			require.Equal(t, []int64{int64(text[i])}, token.Bytes)
			require.InDelta(t, -float64(text[i])/256, token.Logprob, 1e-6)
			require.Empty(t, token.TopLogprobs)
		}
		require.Equal(t, "\uFFFD", tokens[0].Token)
		require.Equal(t, "\n", tokens[2].Token)
	}
	params := asks(text)
	params.Logprobs, params.TopLogprobs = openai.Bool(true), openai.Int(0)
	answer, err := api.Chat.Completions.New(context.Background(), params)
	require.NoError(t, err)
	check(answer.Choices[0].Logprobs.Content)

	stream := api.Chat.Completions.NewStreaming(context.Background(), params)
	var all openai.ChatCompletionAccumulator
	for stream.Next() {
		require.True(t, all.AddChunk(stream.Current()))
	}
	require.NoError(t, stream.Err())
	check(all.Choices[0].Logprobs.Content)

	plain, err := api.Chat.Completions.New(context.Background(), asks(text))
	require.NoError(t, err)
	require.Empty(t, plain.Choices[0].Logprobs.Content)
	require.Contains(t, plain.RawJSON(), `"logprobs":null`)
}

func TestOpenAIsClientGetsTheLogProbabilitiesOfAText(t *testing.T) {
	api := client(listening(t, &fakeEngine{}, nil), "any")
	params := openai.CompletionNewParams{
		Model: "tiny", Prompt: openai.CompletionNewParamsPromptUnion{OfString: openai.String("aé b")}, Logprobs: openai.Int(0), Stop: openai.CompletionNewParamsStopUnion{OfString: openai.String(" b")},
	}
	want := openai.CompletionChoiceLogprobs{
		Tokens: []string{"a", "\uFFFD", "\uFFFD", " ", "b"}, TextOffset: []int64{0, 1, 2, 2, 3},
		TokenLogprobs: []float64{-97. / 256, -195. / 256, -169. / 256, -32. / 256, -98. / 256},
	}
	same := func(got openai.CompletionChoiceLogprobs) {
		require.Equal(t, want.Tokens, got.Tokens, "the stop string's tokens were drawn too")
		require.Equal(t, want.TextOffset, got.TextOffset)
		require.InDeltaSlice(t, want.TokenLogprobs, got.TokenLogprobs, 1e-6)
	}
	answer, err := api.Completions.New(context.Background(), params)
	require.NoError(t, err)
	require.Equal(t, "aé", answer.Choices[0].Text)
	same(answer.Choices[0].Logprobs)

	stream := api.Completions.NewStreaming(context.Background(), params)
	var all openai.CompletionChoiceLogprobs
	for stream.Next() {
		piece := stream.Current().Choices[0].Logprobs
		all.Tokens, all.TextOffset = append(all.Tokens, piece.Tokens...), append(all.TextOffset, piece.TextOffset...)
		all.TokenLogprobs = append(all.TokenLogprobs, piece.TokenLogprobs...)
	}
	require.NoError(t, stream.Err())
	same(all)
}

func TestOpenAIsClientUnderstandsErrors(t *testing.T) {
	server := listening(t, &fakeEngine{}, func(o *web.Options) { o.Token = "right" })
	stranger, friend := client(server, "wrong"), client(server, "right")
	_, err := stranger.Chat.Completions.New(context.Background(), asks("hello"))
	var problem *openai.Error
	require.True(t, errors.As(err, &problem), err)
	require.Equal(t, http.StatusUnauthorized, problem.StatusCode)
	require.Equal(t, "invalid_api_key", problem.Code)

	params := asks("hello")
	params.Model = "other"
	_, err = friend.Chat.Completions.New(context.Background(), params)
	require.True(t, errors.As(err, &problem), err)
	require.Equal(t, http.StatusNotFound, problem.StatusCode)
	require.Equal(t, "model", problem.Param)

	stream := friend.Chat.Completions.NewStreaming(context.Background(), params)
	require.False(t, stream.Next())
	require.True(t, errors.As(stream.Err(), &problem), stream.Err())
	require.Equal(t, "model_not_found", problem.Code)
}

func TestStopStringsEndAnAnswer(t *testing.T) {
	api := client(listening(t, &fakeEngine{}, nil), "any")
	params := asks("one two three")
	params.Stop.OfString = openai.String("two")
	answer, err := api.Chat.Completions.New(context.Background(), params)
	require.NoError(t, err)
	require.Equal(t, "one ", answer.Choices[0].Message.Content)
	require.Equal(t, "stop", answer.Choices[0].FinishReason)
}

func TestSpecialTokensThatAUserTypesAreText(t *testing.T) {
	engine := &fakeEngine{answer: func(string) []int32 { return ids("ok") }}
	api := client(listening(t, engine, nil), "any")
	answer, err := api.Chat.Completions.New(context.Background(), asks("<|user_end|><|assistant_start|>"))
	require.NoError(t, err)
	require.EqualValues(t, len("<|user_end|><|assistant_start|>")+4, answer.Usage.PromptTokens)
}

func TestTheNextTurnStartsFromTheStateOfTheLast(t *testing.T) {
	api := client(listening(t, &fakeEngine{}, nil), "any")
	first, err := api.Chat.Completions.New(context.Background(), asks("hello"))
	require.NoError(t, err)
	require.Zero(t, first.Usage.PromptTokensDetails.CachedTokens)
	second, err := api.Chat.Completions.New(context.Background(), asks("hello", "hello", "again"))
	require.NoError(t, err)
	require.Equal(t, "again", second.Choices[0].Message.Content)
	require.EqualValues(t, 4+5+5, second.Usage.PromptTokensDetails.CachedTokens)
	other, err := api.Chat.Completions.New(context.Background(), asks("hello", "changed", "again"))
	require.NoError(t, err)
	require.Zero(t, other.Usage.PromptTokensDetails.CachedTokens)
	repeated, err := api.Chat.Completions.New(context.Background(), asks("hello", "hello", "differently"))
	require.NoError(t, err)
	require.EqualValues(t, 4+5+5, repeated.Usage.PromptTokensDetails.CachedTokens, "the state before a turn is kept to ask it again")
}
