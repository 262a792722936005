package train

import (
	"fmt"
	"math"
	"slices"
)

// PolicyMetrics are those of the steps on one round of answers.
type PolicyMetrics struct {
	Metrics
	// Rollouts are the answers, Used those of them that were learned from: an answer no better or worse than its group
	// teaches nothing.
	Rollouts, Used int
	// Tokens are all that the answers hold, Drawn those of them that the policy drew.
	Tokens, Drawn int
	// Reward is the mean, Ended the share of answers that ended by themselves.
	Reward, Ended float64
	// KL is the mean k3 of the drawn tokens before the last step, Clipped the share of them that were clipped in it; 0
	// where the objective has none.
	KL, Clipped float64
	// Drift is the most that the engine's log-probability of a drawn token differs from the training's, in nats; 0 where the
	// objective scores none. More than rounding means that they see an answer differently.
	Drift float64
}

// scored is a rollout to learn from.
type scored struct {
	Rollout
	advantage float64
}

// advantages scores groups of answers to the same question. Answers without advantage are left out unless all is asked for.
func advantages(groups [][]Rollout, all bool) (used []scored) {
	for _, group := range groups {
		mean := 0.0
		for _, r := range group {
			mean += r.Reward / float64(len(group))
		}
		for _, r := range group {
			// What rounding leaves of a group of equals is no advantage.
			if advantage := r.Reward - mean; all || math.Abs(advantage) > 1e-9*max(1, math.Abs(mean)) {
				used = append(used, scored{r, advantage})
			}
		}
	}
	return used
}

// measure counts the answers.
func measure(groups [][]Rollout) (m PolicyMetrics) {
	for _, group := range groups {
		for _, r := range group {
			m.Rollouts++
			m.Tokens += len(r.Tokens)
			m.Reward += r.Reward
			if r.Ended {
				m.Ended++
			}
			for _, drawn := range r.Drawn {
				if drawn {
					m.Drawn++
				}
			}
		}
	}
	m.Reward /= float64(max(1, m.Rollouts))
	m.Ended /= float64(max(1, m.Rollouts))
	return m
}

// policyBatch is a batch with what the objective needs of each of its targets.
type policyBatch struct {
	Batch
	tokens []judged
}

// layOut gives each answer a row. The last batch is filled up with empty rows.
func layOut(used []scored, rows, time int) ([]policyBatch, error) {
	var batches []policyBatch
	for number, r := range used {
		length := len(r.Tokens) - 1 // the last token is only a target
		if length < 1 || length > time || len(r.Drawn) != len(r.Tokens) || len(r.LogProbs) != len(r.Tokens) {
			return nil, fmt.Errorf("a rollout of %d tokens with %d marks and %d log-probabilities: it needs one of each a token, and 2 to %d tokens",
				len(r.Tokens), len(r.Drawn), len(r.LogProbs), time+1)
		}
		if number%rows == 0 {
			size := rows * time
			batches = append(batches, policyBatch{tokens: make([]judged, size), Batch: Batch{
				Tokens: make([]int32, size), Targets: slices.Repeat([]int32{-1}, size), Documents: make([]int32, size), Shares: make([]float32, size),
			}})
		}
		b, at := batches[len(batches)-1], number%rows*time
		copy(b.Tokens[at:], r.Tokens[:length])
		for i, target := range r.Tokens[1:] {
			if r.Drawn[i+1] {
				b.Targets[at+i] = target
				b.tokens[at+i] = judged{advantage: r.advantage, said: float64(r.LogProbs[i+1])}
			}
		}
	}
	return batches, nil
}

// Update makes the steps of one round of answers, in groups of one question each. If no answer is better than another of its
// group and KL is off, the steps are counted and change nothing.
func (p *Policy) Update(groups [][]Rollout) (PolicyMetrics, error) {
	m := measure(groups)
	used := advantages(groups, p.policy.KL > 0)
	m.Used = len(used)
	batches, err := layOut(used, p.options.Batch, p.step.time)
	if err != nil {
		return m, err
	}
	if p.policy.KL > 0 {
		if p.reference == nil {
			return m, fmt.Errorf("policy update: kl %g needs a reference; call SetReference first", p.policy.KL)
		}
		for _, b := range batches {
			values, err := p.logProbs(p.reference, b.Batch)
			if err != nil {
				return m, err
			}
			for i, value := range values {
				b.tokens[i].reference = float64(value)
			}
		}
	}
	for i := range p.policy.Updates {
		if err := p.update(batches, i == 0, &m); err != nil {
			return m, err
		}
	}
	metrics, err := p.Flush()
	if err != nil || len(metrics) == 0 {
		m.Metrics = Metrics{Step: p.at - 1, LR: p.options.At(p.at - 1).LR}
		return m, err
	}
	m.Metrics = metrics[len(metrics)-1]
	return m, nil
}

// update makes one step, fresh if the policy is still the one that drew the answers.
func (p *Policy) update(batches []policyBatch, fresh bool, m *PolicyMetrics) error {
	if len(batches) == 0 {
		return p.skip()
	}
	m.KL, m.Clipped = 0, 0
	passes := make([]Batch, len(batches))
	for i, b := range batches {
		if p.policy.scores() {
			values, err := p.logProbs(p.Weights(), b.Batch)
			if err != nil {
				return err
			}
			for i, value := range values {
				b.tokens[i].now = float64(value)
				if fresh {
					b.tokens[i].drawn = b.tokens[i].now
				}
			}
		}
		for at, target := range b.Targets {
			if target < 0 {
				continue
			}
			if t := b.tokens[at]; fresh && p.policy.scores() {
				m.Drift = max(m.Drift, math.Abs(t.drawn-t.said))
			}
			share, divergence, clipped := p.policy.share(b.tokens[at])
			b.Shares[at] = float32(share / float64(m.Drawn))
			m.KL += divergence / float64(m.Drawn)
			if clipped {
				m.Clipped += 1 / float64(m.Drawn)
			}
		}
		passes[i] = b.Batch
	}
	return p.Step(passes)
}
