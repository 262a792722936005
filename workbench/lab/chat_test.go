package lab

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/stretchr/testify/require"

	"tandem/models"
	"tandem/tests/testkit"
	"tandem/workbench/chat"
	"tandem/workbench/generate"
	"tandem/workbench/tokenizer"
)

// realEngine is one of a tiny model with random weights over the 256 bytes and the special tokens, those of tools
// likelier, so that its answers hold tool calls, broken characters and everything else. renew gives it its weights again, which makes states stale.
func realEngine(t testing.TB, pattern models.Pattern, tok *tokenizer.Tokenizer) (engine *generate.Engine, renew func() error) {
	t.Helper()
	model, err := models.New(models.Config{Pattern: pattern, Width: 16, Vocab: tok.VocabSize(), Context: 512})
	require.NoError(t, err)
	device := testkit.Device(t)
	device.Compute = dtypes.Float32
	pythonStart, _ := tok.Special("<|python_start|>")
	pythonEnd, _ := tok.Special("<|python_end|>")
	random := rand.New(rand.NewPCG(1, 3))
	var weights []*tensors.Tensor
	for i, values := range model.Init(1) {
		weight := model.Weights()[i]
		if weight.Init.Kind == "zero" {
			for j := range values {
				values[j] = float32(random.NormFloat64() / math.Sqrt(float64(weight.Shape[0])) * 2)
			}
		}
		if weight.Name == "head" {
			for j := range values {
				if id := int32(j % tok.VocabSize()); id == pythonStart || id == pythonEnd {
					values[j] *= 4
				}
			}
		}
		weights = append(weights, tensors.FromFlatDataAndDimensions(values, weight.Shape...))
	}
	engine, err = generate.New(device, model, weights, generate.Options{Rows: 2, TokensPerTrip: 2, Chunks: []int{16}})
	require.NoError(t, err)
	t.Cleanup(engine.Close)
	return engine, func() error { return engine.SetWeights(weights) }
}

// forgetful starts every row from nothing.
type forgetful struct{ chat.Engine }

func (e forgetful) Start(ctx context.Context, request generate.Request, _ chat.State) (chat.Row, error) {
	return e.Engine.Start(ctx, request, nil)
}

func newSession(t testing.TB, engine chat.Engine, tok *tokenizer.Tokenizer) *chat.Session {
	t.Helper()
	model, err := chat.NewModel(engine, tok)
	require.NoError(t, err)
	return chat.NewSession(model, "be kind")
}

// say asks and returns the whole answer; with a limit it leaves after so many pieces.
func say(t testing.TB, session *chat.Session, text string, limit int) chat.Content {
	t.Helper()
	tool := func(context.Context, string) (string, error) { return "4", nil }
	o := chat.Options{MaxTokens: 20, Sampling: generate.Sampling{Temperature: 1.2, Seed: 5}, Tool: tool}
	for _, err := range session.Ask(context.Background(), text, o) {
		require.NoError(t, err)
		if limit--; limit == 0 {
			break
		}
	}
	messages := session.Conversation().Messages
	return messages[len(messages)-1].Content
}

func TestAKeptStateChangesNoAnswer(t *testing.T) {
	tok, err := tokenizer.Train(func(func(string, error) bool) {}, 256+9)
	require.NoError(t, err)
	for _, pattern := range []models.Pattern{"T", "M"} {
		t.Run(string(pattern), func(t *testing.T) {
			engine, renew := realEngine(t, pattern, tok)
			keeping, fresh := newSession(t, chat.Over(engine), tok), newSession(t, forgetful{chat.Over(engine)}, tok)
			called := 0
			for turn, question := range []string{"hello", "6*7?", "é", "what else?", "bye"} {
				if turn == 3 {
					require.NoError(t, renew())
				}
				answer := say(t, keeping, question, 0)
				require.Equal(t, say(t, fresh, question, 0), answer, "turn %d", turn)
				if slices.Contains(answer, chat.Part{Type: chat.Output, Text: "4"}) {
					called++
				}
				require.Equal(t, turn > 0 && turn != 3, keeping.Stats().Last.Reused > 0, "turn %d", turn)
			}
			require.Positive(t, called, "answers with a tool call")
			say(t, keeping, "tell me more", 2) // left early
			say(t, keeping, "so?", 0)
			require.Positive(t, keeping.Stats().Last.Reused)
			require.NoError(t, keeping.Conversation().Validate())

			keeping.Close()
			fresh.Close()
			require.Eventually(t, func() bool { return engine.StateBytes() == 0 }, 5*time.Second, time.Millisecond)
		})
	}
}

func TestOverflowSuitsTheModel(t *testing.T) {
	for pattern, want := range map[models.Pattern]generate.Overflow{"TM": chat.OverflowForget, "MM": generate.OverflowContinue} {
		model, err := models.New(models.Config{Pattern: pattern, Width: 16, Vocab: 300, Context: 32})
		require.NoError(t, err)
		require.Equal(t, want, overflowOf(model))
	}
}
