package train

import (
	"fmt"
	"math"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"tandem/models"
	"tandem/xla"
)

// Group-relative policy gradient (GRPO, Shao et al. 2024, arXiv:2402.03300, eq. 3) as nanochat simplifies it. Of each
// question a group of answers is drawn and rewarded; an answer's advantage is A = r - mean(r) of its group, not divided by
// the deviation. A step raises, over the N drawn tokens of all answers, with the probability π of each,
//
//	J = 1/N · Σ min(ρ·A, clip(ρ, 1-ε, 1+ε)·A) - β·k3,    ρ = π/π_old,    k3 = π_ref/π - ln(π_ref/π) - 1
//
// where ε is Clip, β is KL, π_old is of the policy that drew the token, as it is scored before the round's first step (what the
// engine said depends in its last bits on what else was in the batch), and π_ref of the one before any step (k3: Schulman 2020,
// "Approximating KL Divergence"). Without Clip the first term is A·ln π: one step on fresh answers, where ρ = 1, has
// the same gradient. (nanochat takes the mean over the N of each pass, then over the passes, and does not learn the token that
// ends an answer.) ∂J/∂ln π is a number a token, computed on the host (share), by which the cross-entropy -ln π goes into
// the sum that the compiled step lowers.

// Rollout is one answer that a policy drew.
type Rollout struct {
	// Tokens are the question's and the answer's, with the one that ended it: at most one more than a row holds.
	Tokens []int32
	// Drawn marks the tokens that the policy drew. Those of the question, and what a tool put in, are not.
	Drawn []bool
	// LogProbs are the drawn tokens' as the engine said them, in nats at temperature 1; 0 for the others.
	LogProbs []float32
	// Reward is the answer's.
	Reward float64
	// Ended says that the answer ended by itself, not at a limit.
	Ended bool
}

// PolicyOptions are the objective's. The zero value is nanochat's: on-policy, without clipping or KL.
type PolicyOptions struct {
	// Clip is ε, how far the ratio of a token's probabilities may go before it stops to count; 0 is no ratio.
	Clip float64 `json:"clip"`
	// KL is β, the weight of the divergence from the policy before the first step; 0 is none.
	KL float64 `json:"kl"`
	// Updates is how many steps are made on the same answers; 0 is 1. More need Clip.
	Updates int `json:"updates"`
}

// Validate reports the first option that cannot be.
func (o PolicyOptions) Validate() error {
	switch {
	case math.IsNaN(o.Clip) || o.Clip < 0 || o.Clip >= 1:
		return fmt.Errorf("clip %g: must lie between 0 (none) and 1; 0.2 is usual", o.Clip)
	case math.IsNaN(o.KL) || o.KL < 0 || o.KL > 100:
		return fmt.Errorf("kl %g: must lie between 0 (none) and 100; 0.04 is usual", o.KL)
	case o.Updates < 0 || o.Updates > 1000:
		return fmt.Errorf("updates %d: must lie between 1 and 1000", o.Updates)
	case o.Updates > 1 && o.Clip == 0:
		return fmt.Errorf("updates %d: several steps on the same answers need clip, such as 0.2, or they run away", o.Updates)
	}
	return nil
}

// scores tells whether the objective needs tokens' log-probabilities before a step.
func (o PolicyOptions) scores() bool { return o.Clip > 0 || o.KL > 0 }

// judged is a token as the objective sees it: its advantage, and its log-probability now, when drawn, and before any step; beside
// them what the engine said it was when drawn.
type judged struct{ advantage, now, drawn, reference, said float64 }

// share is ∂J/∂ln π of one token, times N; also its k3, and whether it was clipped.
func (o PolicyOptions) share(t judged) (share, divergence float64, clipped bool) {
	share = t.advantage
	if o.Clip > 0 {
		ratio := math.Exp(t.now - t.drawn)
		share *= ratio
		if clipped = t.advantage > 0 && ratio > 1+o.Clip || t.advantage < 0 && ratio < 1-o.Clip; clipped {
			share = 0
		}
	}
	if o.KL > 0 {
		further := t.reference - t.now
		divergence = math.Exp(further) - further - 1
		share += o.KL * (math.Exp(further) - 1)
	}
	return share, divergence, clipped
}

// Policy is a Trainer on rewards. Its Step takes any number of batches with Shares, whose sums make one step.
type Policy struct {
	*Trainer
	policy    PolicyOptions
	reference []*tensors.Tensor
}

// NewPolicy compiles the step and draws initial weights, as New does. Each answer gets a row of its own, for attention may
// cross documents, and would give other log-probabilities beside others. time is the tokens of such a row; of them there are
// as many as hold the tokens of Options.Batch rows of the context. Options.Accumulate has no meaning.
func NewPolicy(device *xla.Device, model *models.Model, options Options, policy PolicyOptions, time int) (*Policy, error) {
	if err := policy.Validate(); err != nil {
		return nil, err
	}
	policy.Updates = max(1, policy.Updates)
	if steps := options.Resolved().Steps; options.Minutes == 0 && steps%policy.Updates != 0 {
		return nil, fmt.Errorf("steps %d: must be a multiple of updates, %d", steps, policy.Updates)
	}
	if options.Minutes > 0 {
		return nil, fmt.Errorf("minutes %g: a training on rewards is as long as its steps; give steps", options.Minutes)
	}
	if time < 1 || time > model.Config.Context {
		return nil, fmt.Errorf("rows of %d tokens: must lie between 1 and the context, %d", time, model.Config.Context)
	}
	options.Batch = max(1, options.Resolved().Batch*model.Config.Context/time)
	trainer, err := newTrainer(device, model, options, true, time)
	if err != nil {
		return nil, err
	}
	return &Policy{Trainer: trainer, policy: policy}, nil
}

// SetReference says what KL compares with: weights in the order of model.Weights(), which stay the caller's.
func (p *Policy) SetReference(weights []*tensors.Tensor) { p.reference = weights }

// logProbs are those of a batch's targets under some weights, in nats, [rows, time]; nothing is meant where there is none.
func (p *Policy) logProbs(weights []*tensors.Tensor, batch Batch) ([]float32, error) {
	s := p.step
	if s.score == nil {
		inputs := append(s.weightInputs(false), s.integers("tokens"), s.integers("targets"), s.integers("documents"))
		var err error
		s.score, err = xla.Compile(s.device, "log-probabilities", inputs, func(_ *Graph, in []*Node) []*Node {
			last := in[len(in)-3:]
			return []*Node{Neg(s.model.Losses(s.device.Compute, in[:len(in)-3], last[0], last[1], last[2]))}
		})
		if err != nil {
			return nil, err
		}
	}
	batch.Shares = nil
	outputs, err := s.score.Run(p.arguments(weights, p.upload(batch))...)
	if err != nil {
		return nil, err
	}
	values, err := tensors.CopyFlatData[float32](outputs[0])
	if err != nil {
		return nil, fmt.Errorf("read log-probabilities: %w", err)
	}
	return values, outputs[0].FinalizeAll()
}

// skip counts a step in which nothing is to be learned: weights and optimizer stay as they are, momentum included.
func (p *Policy) skip() error {
	last := len(p.resident) - 1
	p.at++
	old := p.resident[last]
	p.resident[last] = tensors.FromScalar(int32(p.at))
	return old.FinalizeAll()
}
