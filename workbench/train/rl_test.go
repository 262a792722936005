package train_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/stretchr/testify/require"

	"tandem/tests/testkit"
	"tandem/workbench/checkpoint"
	"tandem/workbench/runlog"
	"tandem/workbench/train"
	"tandem/xla"
)

// answers are drawn in a round, to two questions.
const answers = 16

// bandit answers the prompt 1 with two tokens of its policy, and rewards each that is 3 with a half.
type bandit struct {
	policy  *train.Policy
	forward *xla.Program
}

// newBandit starts as if from a parent: its own weights as the reference.
func newBandit(t testing.TB, device *xla.Device, o train.Options, policy train.PolicyOptions) *bandit {
	t.Helper()
	o.Batch, o.SpikeLimit, o.Warmup, o.SaveEvery, o.EvalEvery = batch, -1, 1, 4, 4
	made, err := train.NewPolicy(device, tiny(t), o, policy, 4)
	require.NoError(t, err)
	t.Cleanup(made.Close)
	b := &bandit{policy: made}
	model := tiny(t)
	var inputs []xla.Input
	var reference []*tensors.Tensor
	for i, weight := range made.Weights() {
		inputs = append(inputs, xla.Input{Name: model.Weights()[i].Name, Shape: weight.Shape()})
		copied, err := weight.LocalClone()
		require.NoError(t, err)
		reference = append(reference, copied)
	}
	made.SetReference(reference)
	inputs = append(inputs, xla.Input{Name: "tokens", Shape: shapes.Make(dtypes.Int32, answers, length)})
	b.forward, err = xla.Compile(device, "forward", inputs, func(_ *graph.Graph, in []*graph.Node) []*graph.Node {
		return []*graph.Node{graph.LogSoftmax(model.Forward(device.Compute, in[:len(in)-1], in[len(in)-1], nil), -1)}
	})
	require.NoError(t, err)
	t.Cleanup(b.forward.Close)
	return b
}

// roll draws all answers together, token by token.
func (b *bandit) roll(_ context.Context, step int) ([][]train.Rollout, error) {
	random := rand.New(rand.NewPCG(7, uint64(step)))
	all := slices.Repeat([]train.Rollout{{Tokens: []int32{1}, Drawn: []bool{false}, LogProbs: []float32{0}}}, answers)
	for at := range 2 {
		tokens := make([]int32, answers*length)
		for i, r := range all {
			copy(tokens[i*length:], r.Tokens)
		}
		outputs, err := b.forward.Run(append(slices.Clone(b.policy.Weights()), testkit.Int(tokens, answers, length))...)
		if err != nil {
			return nil, err
		}
		logProbs := tensors.MustCopyFlatData[float32](outputs[0])
		for i := range all {
			r, values, id, left := &all[i], logProbs[(i*length+at)*vocab:], int32(0), random.Float64()
			for left -= math.Exp(float64(values[id])); left > 0 && id < vocab-1; left -= math.Exp(float64(values[id])) {
				id++
			}
			r.Tokens, r.Drawn, r.LogProbs = append(r.Tokens, id), append(r.Drawn, true), append(r.LogProbs, values[id])
			if id == 3 {
				r.Reward += 0.5
			}
		}
	}
	return slices.Collect(slices.Chunk(all, answers/2)), nil
}

func (b *bandit) loop(t testing.TB) *train.PolicyLoop {
	t.Helper()
	l, _ := loop(t, b.policy.Trainer, nil)
	return &train.PolicyLoop{Loop: *l, Policy: b.policy, Roll: b.roll}
}

// rewards are the steps' in a run's metrics.
func rewards(t testing.TB, folder string) (values []float64) {
	t.Helper()
	records, bad, err := runlog.Read(filepath.Join(folder, runlog.MetricsFile))
	require.NoError(t, err)
	require.Empty(t, bad)
	for _, record := range records {
		if record.Kind == runlog.KindStep {
			values = append(values, record.Values["reward"])
		}
	}
	return values
}

func TestAPolicyLearnsWhatIsRewarded(t *testing.T) {
	device := testkit.Device(t)
	for name, o := range map[string]train.PolicyOptions{
		"as nanochat": {}, "two clipped steps a round": {Clip: 0.2, Updates: 2}, "held back a little": {KL: 0.01},
	} {
		t.Run(name, func(t *testing.T) {
			steps := 24 * max(1, o.Updates)
			l := newBandit(t, device, train.Options{Steps: steps}, o).loop(t)
			scored := 0
			l.Score = func(context.Context) (map[string]float64, error) {
				scored++
				return map[string]float64{"pass@1": float64(scored)}, nil
			}
			require.NoError(t, l.Run(t.Context()))
			got := rewards(t, l.Folder)
			require.Len(t, got, 24)
			require.Less(t, (got[0]+got[1])/2, 0.3, "at first it guesses one of %d", vocab)
			require.Greater(t, (got[22]+got[23])/2, 0.7)
			require.Equal(t, steps, l.Policy.At())
			require.EqualValues(t, 24*answers, l.Progress().Rollouts)
			require.EqualValues(t, 24*2*answers, l.Progress().Drawn)
			require.Equal(t, 1+steps/4, scored)
			require.Equal(t, map[string]float64{"pass@1": 1}, l.Progress().FirstScores)
		})
	}
}

func TestAPolicyHeldFirmlyStays(t *testing.T) {
	l := newBandit(t, testkit.Device(t), train.Options{Steps: 24}, train.PolicyOptions{KL: 20}).loop(t)
	require.NoError(t, l.Run(t.Context()))
	got := rewards(t, l.Folder)
	require.Less(t, (got[21]+got[22]+got[23])/3, 0.5)
}

func TestAnswersWithoutAdvantageChangeNothing(t *testing.T) {
	b := newBandit(t, testkit.Device(t), train.Options{Steps: 10}, train.PolicyOptions{})
	groups, err := b.roll(t.Context(), 0)
	require.NoError(t, err)
	_, err = b.policy.Update(groups) // momentum that would go on
	require.NoError(t, err)
	before, err := b.policy.Snapshot(nil)
	require.NoError(t, err)
	for i := range groups {
		for j := range groups[i] {
			groups[i][j].Reward = float64(i) + 0.1
		}
	}
	m, err := b.policy.Update(groups)
	require.NoError(t, err)
	require.Zero(t, m.Used)
	require.Equal(t, 2, b.policy.At())
	after, err := b.policy.Snapshot(nil)
	require.NoError(t, err)
	require.Equal(t, before.Model, after.Model)
	require.Equal(t, before.Optimizer[:len(before.Optimizer)-1], after.Optimizer[:len(after.Optimizer)-1], "all but the step")
	require.NoError(t, b.policy.Restore(after))
	m, err = b.policy.Update(groups)
	require.NoError(t, err)
	require.Equal(t, 3, b.policy.At(), "%+v", m)
}

func TestWhatIsNotDrawnIsNotLearned(t *testing.T) {
	device := testkit.Device(t)
	learned := func(forced int32) checkpoint.Snapshot {
		b := newBandit(t, device, train.Options{Steps: 10}, train.PolicyOptions{})
		group := []train.Rollout{
			{Tokens: []int32{1, 5, forced}, Drawn: []bool{false, true, false}, LogProbs: make([]float32, 3), Reward: 1},
			{Tokens: []int32{1, 6, forced}, Drawn: []bool{false, true, false}, LogProbs: make([]float32, 3)},
		}
		m, err := b.policy.Update([][]train.Rollout{group})
		require.NoError(t, err)
		require.Equal(t, 2, m.Drawn)
		snapshot, err := b.policy.Snapshot(nil)
		require.NoError(t, err)
		return snapshot
	}
	require.Equal(t, learned(9).Model, learned(12).Model, "the last token is forced, and nothing comes after it")
}

func TestAnInterruptedPolicyResumesBitForBit(t *testing.T) {
	device := testkit.Device(t)
	o, policy := train.Options{Steps: 8}, train.PolicyOptions{Clip: 0.2, Updates: 2, KL: 0.1}
	straight := newBandit(t, device, o, policy).loop(t)
	require.NoError(t, straight.Run(t.Context()))

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	first := newBandit(t, device, o, policy).loop(t)
	roll := first.Roll
	first.Roll = func(ctx context.Context, step int) ([][]train.Rollout, error) {
		if step == 6 { // in the middle of a round
			cancel()
			return nil, ctx.Err()
		}
		return roll(ctx, step)
	}
	require.ErrorIs(t, first.Run(ctx), train.ErrInterrupted)
	snapshot, _, _, err := checkpoint.Latest(first.Folder)
	require.NoError(t, err)
	require.Equal(t, 6, snapshot.Step)

	second := newBandit(t, device, o, policy).loop(t)
	require.NoError(t, second.Policy.Restore(snapshot))
	require.NoError(t, second.ResumeData([]byte(fmt.Sprintf(`{"rollouts":%d}`, first.Progress().Rollouts))))
	require.NoError(t, second.Run(t.Context()))
	require.Equal(t, straight.Progress().Rollouts, second.Progress().Rollouts)
	want, err := straight.Policy.Snapshot(nil)
	require.NoError(t, err)
	got, err := second.Policy.Snapshot(nil)
	require.NoError(t, err)
	if device.Kind == "go" {
		require.Equal(t, want.Model, got.Model)
		require.Equal(t, want.Optimizer, got.Optimizer)
	}
}

func TestImpossiblePoliciesAreRefused(t *testing.T) {
	device := testkit.Device(t)
	for says, test := range map[string]struct {
		o      train.Options
		policy train.PolicyOptions
	}{
		"clip 1: must lie between":                               {policy: train.PolicyOptions{Clip: 1}},
		"kl -1: must lie between":                                {policy: train.PolicyOptions{KL: -1}},
		"updates 2: several steps on the same answers need clip": {policy: train.PolicyOptions{Updates: 2}},
		"steps 5: must be a multiple of updates, 2":              {o: train.Options{Steps: 5}, policy: train.PolicyOptions{Updates: 2, Clip: 0.2}},
		"minutes 3: a training on rewards is as long as":         {o: train.Options{Minutes: 3}},
	} {
		_, err := train.NewPolicy(device, tiny(t), test.o, test.policy, length)
		require.ErrorContains(t, err, says)
	}
	_, err := train.NewPolicy(device, tiny(t), train.Options{}, train.PolicyOptions{}, length+1)
	require.ErrorContains(t, err, "rows of 9 tokens: must lie between 1 and the context, 8")
	made, err := train.NewPolicy(device, tiny(t), train.Options{Batch: batch}, train.PolicyOptions{KL: 1}, length)
	require.NoError(t, err)
	t.Cleanup(made.Close)
	_, err = made.Update(nil)
	require.ErrorContains(t, err, "needs a reference")
}
