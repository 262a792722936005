package generate_test

import (
	"context"
	"math"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/stretchr/testify/require"

	"tandem/models"
	"tandem/tests/testkit"
	"tandem/workbench/generate"
	"tandem/xla"
)

const vocab = 37

// fixture is a tiny model with random weights, none of them zero.
type fixture struct {
	device  *xla.Device
	model   *models.Model
	weights []*tensors.Tensor
}

func newModel(t testing.TB, pattern string, config models.Config) *models.Model {
	t.Helper()
	parsed, err := models.ParsePattern(pattern)
	require.NoError(t, err)
	config.Pattern = parsed
	model, err := models.New(config)
	require.NoError(t, err)
	return model
}

func newFixture(t testing.TB, device *xla.Device, pattern string, config models.Config) *fixture {
	t.Helper()
	f := &fixture{device: device, model: newModel(t, pattern, config)}
	random := rand.New(rand.NewPCG(1, 2))
	for i, values := range f.model.Init(1) {
		weight := f.model.Weights()[i]
		if weight.Init.Kind == "zero" {
			for j := range values {
				values[j] = float32(random.NormFloat64() / math.Sqrt(float64(weight.Shape[0])) * 2)
			}
		}
		f.weights = append(f.weights, tensors.FromFlatDataAndDimensions(values, weight.Shape...))
	}
	return f
}

// tiny is a fixture of width 16 on the device under test. It computes in float32, so that a comparison of tokens is one
// of logic and not of rounding.
func tiny(t testing.TB, pattern string) *fixture {
	t.Helper()
	device := testkit.Device(t)
	device.Compute = dtypes.Float32
	return newFixture(t, device, pattern, models.Config{Width: 16, Vocab: vocab, Context: 32})
}

// engine starts an engine, and at the test's end checks that it leaves no goroutine and no state behind.
func (f *fixture) engine(t testing.TB, options generate.Options) *generate.Engine {
	t.Helper()
	before := loops()
	engine, err := generate.New(f.device, f.model, f.weights, options)
	require.NoError(t, err)
	t.Cleanup(func() {
		engine.Close()
		require.Zero(t, engine.StateBytes(), "states after Close")
		for _, weight := range f.weights {
			require.True(t, weight.Ok(), "a weight was freed")
		}
		require.Eventually(t, func() bool { return loops() <= before }, time.Minute, 10*time.Millisecond, "the engine's goroutine is still running")
	})
	return engine
}

// loops is the number of engines' goroutines.
func loops() int {
	buffer := make([]byte, 1<<20)
	return strings.Count(string(buffer[:runtime.Stack(buffer, true)]), "created by tandem/workbench/generate.New")
}

// result is what a row gave.
type result struct {
	ids      []int32
	logProbs []float32
	finish   string
	last     int32 // ID of the end
}

func (r *result) take(token generate.Token) {
	if token.Finish != "" {
		r.finish, r.last = token.Finish, token.ID
		return
	}
	r.ids, r.logProbs = append(r.ids, token.ID), append(r.logProbs, token.LogProb)
}

func collect(t testing.TB, engine *generate.Engine, prompts [][]int32, o generate.GenerateOptions) []result {
	t.Helper()
	results := make([]result, len(prompts))
	for token, err := range engine.Generate(context.Background(), prompts, o) {
		require.NoError(t, err)
		require.Empty(t, results[token.Row].finish, "an event after the end")
		results[token.Row].take(token)
	}
	for _, r := range results {
		require.NotEmpty(t, r.finish)
	}
	return results
}

func drain(t testing.TB, stream *generate.Stream) (r result) {
	t.Helper()
	for token, err := range stream.Tokens() {
		require.NoError(t, err)
		r.take(token)
	}
	return r
}

// forward gives the logits after every token of one row, by the model's whole forward pass.
func (f *fixture) forward(t testing.TB, tokens []int32) [][]float64 {
	t.Helper()
	inputs := append(append([]*tensors.Tensor{}, f.weights...), testkit.Int(tokens, 1, len(tokens)))
	flat := testkit.Run(t, f.device, inputs, func(nodes []*graph.Node) []*graph.Node {
		return []*graph.Node{f.model.Forward(dtypes.Float32, nodes[:len(f.weights)], nodes[len(f.weights)], nil)}
	})[0]
	size := f.model.Config.Vocab
	rows := make([][]float64, len(tokens))
	for i := range rows {
		rows[i] = flat[i*size : (i+1)*size]
	}
	return rows
}

func logSoftmax(logits []float64) []float64 {
	var sum float64
	for _, logit := range logits {
		sum += math.Exp(logit)
	}
	out := make([]float64, len(logits))
	for i, logit := range logits {
		out[i] = logit - math.Log(sum)
	}
	return out
}

func float64s(values []float32) []float64 {
	out := make([]float64, len(values))
	for i, value := range values {
		out[i] = float64(value)
	}
	return out
}

func randomTokens(seed uint64, count int) []int32 {
	random := rand.New(rand.NewPCG(seed, 9))
	tokens := make([]int32, count)
	for i := range tokens {
		tokens[i] = random.Int32N(vocab)
	}
	return tokens
}
