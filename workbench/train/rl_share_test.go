package train

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// objective is J of one token, as the head of rl.go writes it.
func (o PolicyOptions) objective(t judged, now float64) float64 {
	j := t.advantage * now
	if o.Clip > 0 {
		ratio := math.Exp(now - t.drawn)
		j = min(ratio*t.advantage, max(1-o.Clip, min(1+o.Clip, ratio))*t.advantage)
	}
	further := t.reference - now
	return j - o.KL*(math.Exp(further)-further-1)
}

func TestATokensShareIsTheSlopeOfTheObjective(t *testing.T) {
	for _, o := range []PolicyOptions{{}, {Clip: 0.2}, {KL: 0.5}, {Clip: 0.1, KL: 0.04}} {
		for _, advantage := range []float64{-0.7, 0, 0.3} {
			for _, now := range []float64{-3, -2.3, -2.05, -2, -1.95, -1.7, -0.1} {
				token := judged{advantage: advantage, now: now, drawn: -2, reference: -1.5}
				share, divergence, clipped := o.share(token)
				const step = 1e-6
				slope := (o.objective(token, now+step) - o.objective(token, now-step)) / (2 * step)
				require.InDelta(t, slope, share, 1e-6, "%+v %+v", o, token)
				require.GreaterOrEqual(t, divergence, 0.0)
				if clipped {
					require.Positive(t, o.Clip)
				}
			}
		}
	}
	_, _, clipped := PolicyOptions{Clip: 0.2}.share(judged{advantage: 1, now: -1, drawn: -2})
	require.True(t, clipped, "a better answer that has become much likelier")
	_, _, clipped = PolicyOptions{Clip: 0.2}.share(judged{advantage: 1, now: -3, drawn: -2})
	require.False(t, clipped, "a better answer that has become less likely")
	_, divergence, _ := PolicyOptions{KL: 1}.share(judged{now: -2, reference: -2})
	require.Zero(t, divergence)
}

// answer is a rollout of a prompt of two tokens and of drawn ones, in which a tool put one.
func answer(reward float64, drawn ...int32) Rollout {
	r := Rollout{Tokens: []int32{1, 2}, Drawn: []bool{false, false}, LogProbs: []float32{0, 0}, Reward: reward, Ended: true}
	for i, token := range drawn {
		r.Tokens, r.Drawn, r.LogProbs = append(r.Tokens, token), append(r.Drawn, i != 1), append(r.LogProbs, float32(-i))
	}
	return r
}

func TestAdvantagesAreRelativeToTheGroup(t *testing.T) {
	groups := [][]Rollout{{answer(1, 3), answer(0, 4), answer(0, 5), answer(1, 6)}, {answer(0.1, 7), answer(0.1, 8), answer(0.1, 9)}}
	var values []float64
	for _, used := range advantages(groups, false) {
		values = append(values, used.advantage)
	}
	require.Equal(t, []float64{0.5, -0.5, -0.5, 0.5}, values)
	require.Len(t, advantages(groups, true), 7, "with KL all answers count")
	m := measure(groups)
	require.Equal(t, []int{7, 21, 7}, []int{m.Rollouts, m.Tokens, m.Drawn})
	require.InDelta(t, 2.3/7, m.Reward, 1e-12)
}

func TestRolloutsGetRowsWithTheirMasks(t *testing.T) {
	used := []scored{{answer(1, 3, 4), 0.5}, {answer(0, 5, 6, 7, 8), -0.5}, {answer(0, 9), 0.25}}
	batches, err := layOut(used, 2, 5)
	require.NoError(t, err)
	require.Len(t, batches, 2)
	b := batches[0]
	require.Equal(t, []int32{1, 2, 3, 0, 0, 1, 2, 5, 6, 7}, b.Tokens)
	require.Equal(t, []int32{-1, 3, -1, -1, -1, -1, 5, -1, 7, 8}, b.Targets, "neither prompts nor what the tool put in")
	require.Equal(t, judged{advantage: -0.5, said: -3}, b.tokens[9])
	require.Equal(t, []int32{-1, 9, -1, -1, -1, -1, -1, -1, -1, -1}, batches[1].Targets, "an empty row fills the last batch")

	_, err = layOut(used, 1, 4)
	require.ErrorContains(t, err, "a rollout of 6 tokens with 6 marks and 6 log-probabilities: it needs one of each a token, and 2 to 5 tokens")
	broken := answer(1, 3)
	broken.LogProbs = nil
	_, err = layOut([]scored{{broken, 1}}, 1, 7)
	require.ErrorContains(t, err, "3 marks and 0 log-probabilities")
}
