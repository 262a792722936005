package models_test

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/stretchr/testify/require"

	"tandem/blocks"
	"tandem/models"
	"tandem/tests/testkit"
)

func build(t testing.TB, pattern string, config models.Config) *models.Model {
	t.Helper()
	parsed, err := models.ParsePattern(pattern)
	require.NoError(t, err)
	config.Pattern = parsed
	model, err := models.New(config)
	require.NoError(t, err)
	return model
}

func TestInitialWeightsHaveTheDeclaredMoments(t *testing.T) {
	model := build(t, "T M", models.Config{Width: 256, Vocab: 512, Blocks: blocks.Configs{"mamba": &blocks.Mamba{MLP: true}}})
	for i, values := range model.Init(3) {
		weight := model.Weights()[i]
		mean, deviation := weight.Init.Moments(weight.Shape[len(weight.Shape)-1])
		var sum, square float64
		for _, value := range values {
			sum += float64(value)
			square += float64(value) * float64(value)
		}
		count := float64(len(values))
		gotMean := sum / count
		gotDeviation := math.Sqrt(max(0, square/count-gotMean*gotMean))
		// Five standard errors: of a mean σ/√n, of a deviation at most σ/√n for these distributions.
		slack := 5*deviation/math.Sqrt(count) + 1e-6
		require.InDelta(t, mean, gotMean, slack, "mean of %s, declared %s", weight.Name, weight.Init)
		require.InDelta(t, deviation, gotDeviation, slack, "deviation of %s, declared %s", weight.Name, weight.Init)
	}
}

func TestInitialWeightsDependOnSeedAndNameAlone(t *testing.T) {
	tm := build(t, "TM", models.Config{Width: 16, Vocab: 32})
	tmm := build(t, "TMM", models.Config{Width: 16, Vocab: 32})
	for i, values := range tm.Init(5) {
		require.Equal(t, values, tmm.Init(5)[i], tm.Weights()[i].Name)
	}
	require.NotEqual(t, tm.Init(5)[0], tm.Init(6)[0])
}

func TestAnUntrainedModelIsAsUnsureAsItCanBe(t *testing.T) {
	device := testkit.Device(t)
	model := build(t, "TM", models.Config{Width: 16, Vocab: 32, Context: 4})
	inputs := weightTensors(model)
	inputs = append(inputs, testkit.Int([]int32{1, 2, 3, 4}, 1, 4), testkit.Int([]int32{2, 3, 31, -1}, 1, 4))
	outputs := testkit.Run(t, device, inputs, func(nodes []*graph.Node) []*graph.Node {
		count := len(model.Weights())
		mean, each := model.Loss(dtypes.Float32, nodes[:count], nodes[count], nodes[count+1], nil, 0)
		return []*graph.Node{mean, each}
	})
	mean, each := outputs[0], outputs[1]
	for _, nats := range append(each[:3:3], mean...) {
		require.InDelta(t, math.Log(32), nats, 1e-6)
	}
	require.Zero(t, each[3], "an ignored target has no loss")
}

func TestAScoreOverALargeVocabularyKeepsItsDigits(t *testing.T) {
	const vocab = 1 << 16
	model := build(t, "T", models.Config{Width: 16, Vocab: vocab, Context: 4})
	inputs := weightTensors(model)
	inputs[1] = testkit.Float(testkit.Random(rand.New(rand.NewPCG(1, 2)), 16*vocab, 1e-4), 16, vocab) // tokens nearly as likely as each other
	inputs = append(inputs, testkit.Int([]int32{1, 2, 3}, 1, 3), testkit.Int([]int32{1}, 1), testkit.Int([]int32{7}, 1))
	got := testkit.Run(t, testkit.Device(t), inputs, func(n []*graph.Node) []*graph.Node {
		weights, rest := n[:len(n)-3], n[len(n)-3:]
		logProb, _ := model.Score(dtypes.Float32, weights, rest[0], rest[1], rest[2])
		return []*graph.Node{logProb, model.Forward(dtypes.Float32, weights, rest[0], nil)}
	})
	logits, sum := got[1][vocab:2*vocab], 0.0
	for _, logit := range logits {
		sum += math.Exp(logit)
	}
	require.InDelta(t, logits[7]-math.Log(sum), got[0][0], 1e-5)
}

func weightTensors(model *models.Model) []*tensors.Tensor {
	var list []*tensors.Tensor
	for i, values := range model.Init(1) {
		list = append(list, tensors.FromFlatDataAndDimensions(values, model.Weights()[i].Shape...))
	}
	return list
}

func TestAConfigurationSurvivesJSON(t *testing.T) {
	config := build(t, "T2 M", models.Config{Vocab: 300, Blocks: blocks.Configs{"mamba": &blocks.Mamba{State: 8}}}).Config
	text, err := json.Marshal(config)
	require.NoError(t, err)
	var back models.Config
	require.NoError(t, json.Unmarshal(text, &back))
	require.Equal(t, config, back)
}

func TestAConfigurationFromBeforePatternsIsAllTransformer(t *testing.T) {
	var config models.Config
	require.NoError(t, json.Unmarshal([]byte(`{"depth": 3, "vocab": 300, "width": 64}`), &config))
	require.Equal(t, "T3", config.Pattern.String())
}

func TestAnImpossibleDepthFromBeforePatternsIsRefused(t *testing.T) {
	for _, depth := range []string{"4097", "9223372036854775807"} {
		var config models.Config
		err := json.Unmarshal([]byte(`{"depth": `+depth+`, "vocab": 300}`), &config)
		require.EqualError(t, err, "depth "+depth+": at most 4096 layers are supported")
	}
}

func TestImpossibleConfigurationsAreRefused(t *testing.T) {
	for want, config := range map[string]models.Config{
		`model: it has no pattern; give one such as "T12 M8", or a depth`:                                                       {Vocab: 300},
		`pattern "T2 M": one letter a layer is wanted here, of T (transformer), M (mamba); ParsePattern reads counts and names`: {Pattern: "T2 M", Vocab: 300},
		"vocab 0: must lie between 1 and 1073741824":                                                                            {Pattern: "T"},
		"softcap 100: must lie between 0 and 80; exp of a larger logit overflows float32":                                       {Pattern: "T", Vocab: 300, Softcap: 100},
		"transformer.head_dim 7: must be even, for RoPE turns pairs of channels":                                                {Pattern: "T", Vocab: 300, Blocks: blocks.Configs{"transformer": &blocks.Transformer{HeadDim: 7}}},
		"transformer.kv_heads 3: must divide heads 4":                                                                           {Pattern: "T", Vocab: 300, Blocks: blocks.Configs{"transformer": &blocks.Transformer{Heads: 4, KVHeads: 3}}},
		"transformer.head_dim 96: does not divide the width 128; set head_dim to a divisor, or heads":                           {Pattern: "T", Vocab: 300, Blocks: blocks.Configs{"transformer": &blocks.Transformer{HeadDim: 96}}},
		"mamba.conv 1: a convolution needs at least 2 taps":                                                                     {Pattern: "M", Vocab: 300, Blocks: blocks.Configs{"mamba": &blocks.Mamba{Conv: 1}}},
		"mamba.state -1: may not be negative; leave it out for the default":                                                     {Pattern: "M", Vocab: 300, Blocks: blocks.Configs{"mamba": &blocks.Mamba{State: -1}}},
		"transformer.heads 9223372036854775807: more than 1048576 are not supported":                                            {Pattern: "T", Vocab: 300, Blocks: blocks.Configs{"transformer": &blocks.Transformer{Heads: math.MaxInt}}},
		"mamba.conv 1048577: more than 1048576 are not supported":                                                               {Pattern: "M", Vocab: 300, Blocks: blocks.Configs{"mamba": &blocks.Mamba{Conv: 1<<20 + 1}}},
		"transformer.heads 1048576: times head_dim 8 is 8388608 channels; at most 4194304 are supported": {
			Pattern: "T", Vocab: 300, Blocks: blocks.Configs{"transformer": &blocks.Transformer{Heads: 1 << 20, HeadDim: 8}}},
		"transformer.mlp_ratio 1048576: times the width 128 is 134217728 channels; at most 4194304 are supported": {
			Pattern: "T", Vocab: 300, Blocks: blocks.Configs{"transformer": &blocks.Transformer{MLPRatio: 1 << 20}}},
		"mamba.mlp_ratio 1048576: times the width 128 is 134217728 channels; at most 4194304 are supported": {
			Pattern: "M", Vocab: 300, Blocks: blocks.Configs{"mamba": &blocks.Mamba{MLPRatio: 1 << 20}}},
		"mamba.expand 32769: times the width 128 is 4194432 channels; at most 4194304 are supported": {
			Pattern: "M", Vocab: 300, Blocks: blocks.Configs{"mamba": &blocks.Mamba{Expand: 1<<15 + 1}}},
		"transformer.rope_base 0.0001: must be at least 1, for a channel's angle to grow no faster than the position": {
			Pattern: "T", Vocab: 300, Blocks: blocks.Configs{"transformer": &blocks.Transformer{RopeBase: 1e-4}}},
	} {
		_, err := models.New(config)
		require.EqualError(t, err, want)
	}
}

func TestCheckpointedBlocksHaveTheSameGradients(t *testing.T) {
	device := testkit.Device(t)
	model := build(t, "TMTM", models.Config{Width: 16, Vocab: 32, Context: 4})
	gradients := func(checkpoint int) (values [][]float64, size int) {
		inputs := weightTensors(model)
		inputs = append(inputs, testkit.Int([]int32{1, 2, 3, 4}, 1, 4), testkit.Int([]int32{2, 3, 31, -1}, 1, 4))
		values = testkit.Run(t, device, inputs, func(nodes []*graph.Node) []*graph.Node {
			count := len(model.Weights())
			for i := range nodes[:count] { // output projections start at zero, which would hide much
				nodes[i] = graph.AddScalar(nodes[i], 0.01)
			}
			mean, _ := model.Loss(dtypes.Float32, nodes[:count], nodes[count], nodes[count+1], nil, checkpoint)
			outputs := graph.Gradient(mean, nodes[:count]...)
			size = len(mean.Graph().Nodes())
			return outputs
		})
		return values, size
	}
	want, plain := gradients(0)
	for _, checkpoint := range []int{1, 2, 3} {
		got, size := gradients(checkpoint)
		require.Greater(t, size, plain, "nothing is computed again")
		for i, weight := range model.Weights() {
			testkit.Close(t, weight.Name, want[i], got[i], testkit.Tolerances[dtypes.Float32].Gradient)
		}
	}
}
