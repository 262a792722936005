package train

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"tandem/workbench/runlog"
)

// PolicyLoop runs a Policy to its last step, in rounds: answers are drawn, rewarded, and learned from in Updates steps. Of
// the Loop, whose Trainer is the policy's, Next, Data and Evaluate have no meaning.
type PolicyLoop struct {
	Loop
	Policy *Policy
	// Roll draws and rewards the answers of a round, in groups of one question each, with the policy's weights as they are.
	// What it gives depends on them and on the step alone, so that a resumed training is the same.
	Roll func(ctx context.Context, step int) ([][]Rollout, error)
	// Score measures the policy, on questions held out for example, before the first step and every EvalEvery steps; nil
	// is never.
	Score func(ctx context.Context) (map[string]float64, error)

	progress PolicyState
}

// PolicyState is what a PolicyLoop carries over a restart beside LoopState, as its Data.
type PolicyState struct {
	Rollouts int64 `json:"rollouts"`
	// Drawn is the tokens that the policy drew.
	Drawn int64 `json:"drawn"`
	// RollSeconds is the part of LoopState's Seconds that was spent on drawing and rewarding answers.
	RollSeconds float64 `json:"roll_seconds"`
	// Reward is the mean of the last round.
	Reward float64 `json:"reward"`
	// FirstScores and Scores are the first and the last that were measured.
	FirstScores map[string]float64 `json:"first_scores,omitempty"`
	Scores      map[string]float64 `json:"scores,omitempty"`
}

// Progress is the loop's as of the last step.
func (l *PolicyLoop) Progress() PolicyState { return l.progress }

// ResumeData takes over the Data of a checkpoint's LoopState.
func (l *PolicyLoop) ResumeData(data json.RawMessage) error { return json.Unmarshal(data, &l.progress) }

// Run trains to the last step. On cancellation it saves and returns ErrInterrupted; a round that is not done is drawn again
// after a resume.
func (l *PolicyLoop) Run(ctx context.Context) error {
	l.Data = func() (json.RawMessage, error) { return json.Marshal(l.progress) }
	o := l.Policy.Options()
	l.state.Seed = o.Seed
	if l.Score != nil && l.Policy.At() == 0 {
		if err := l.hooked(ctx, l.score(ctx)); err != nil {
			return err
		}
	}
	for l.Policy.At() < o.Steps {
		if ctx.Err() != nil {
			return l.interrupt()
		}
		before := l.Policy.At()
		if err := l.round(ctx); err != nil {
			if ctx.Err() != nil && l.Policy.At() == before {
				return l.interrupt()
			}
			return err
		}
		done := l.Policy.At()
		last := done >= o.Steps
		due := func(every int) bool { return last || every > 0 && done/every > before/every }
		if l.Score != nil && due(o.EvalEvery) {
			if err := l.hooked(ctx, l.score(ctx)); err != nil {
				return err
			}
		}
		if due(o.SaveEvery) {
			if err := l.save(); err != nil { // before a sample, as in Loop
				return err
			}
		}
		if l.Sample != nil && (last || due(o.SampleEvery)) {
			if err := l.hooked(ctx, l.sample(ctx)); err != nil {
				return err
			}
		}
	}
	return l.end()
}

// round draws answers and learns from them.
func (l *PolicyLoop) round(ctx context.Context) error {
	started, at := time.Now(), l.Policy.At()
	groups, err := l.Roll(ctx, at)
	if err != nil {
		return fmt.Errorf("draw answers for step %d: %w", at, err)
	}
	rolled := time.Since(started).Seconds()
	m, err := l.Policy.Update(groups)
	if err != nil {
		return err
	}
	seconds := time.Since(started).Seconds()
	l.state.Step = l.Policy.At()
	l.state.Tokens += int64(m.Tokens)
	l.state.Seconds += seconds
	l.progress.Rollouts += int64(m.Rollouts)
	l.progress.Drawn += int64(m.Drawn)
	l.progress.RollSeconds += rolled
	l.progress.Reward = m.Reward
	return l.record(m, rolled, seconds)
}

// record writes and reports a round, and stops a training that no longer learns.
func (l *PolicyLoop) record(m PolicyMetrics, rolled, seconds float64) error {
	o, done := l.Policy.Options(), l.Policy.At()
	length := float64(m.Drawn) / float64(max(1, m.Rollouts))
	values := map[string]float64{
		runlog.Loss: m.Loss, "norm": m.Norm, "lr": m.LR, runlog.Tokens: float64(m.Tokens), runlog.Seconds: seconds,
		"reward": m.Reward, "length": length, "ended": m.Ended, "rollouts": float64(m.Rollouts), "used": float64(m.Used),
		"rollouts_per_second": float64(m.Rollouts) / rolled, "drawn_per_second": float64(m.Drawn) / rolled, "rollout_share": rolled / seconds,
	}
	words := fmt.Sprintf("reward %.3f  length %.1f  %.1f rollouts/s (%.0f%% of the time)", m.Reward, length, float64(m.Rollouts)/rolled, 100*rolled/seconds)
	if l.Policy.policy.KL > 0 {
		values["kl"] = m.KL
		words += fmt.Sprintf("  kl %.4f", m.KL)
	}
	if l.Policy.policy.Clip > 0 {
		values["clipped"] = m.Clipped
	}
	if l.Policy.policy.scores() {
		values["drift"] = m.Drift
	}
	if err := l.Log.Write(runlog.Record{Kind: runlog.KindStep, Step: done, Values: values}); err != nil {
		return err
	}
	left := time.Duration(float64(o.Steps-done) / float64(l.Policy.policy.Updates) * seconds * float64(time.Second))
	l.report(Event{Kind: runlog.KindStep, Metrics: m.Metrics, Text: words, TokensPerSecond: float64(m.Tokens) / seconds, Remaining: left})
	if m.Skipped {
		if err := l.event(done, fmt.Sprintf("step %d skipped: gradient norm %.4g; the weights stay as they were", done, m.Norm)); err != nil {
			return err
		}
	}
	if m.InRow >= o.SkipLimit {
		return fmt.Errorf("training stopped at step %d: %d steps in a row were skipped (gradient norm %.4g); %s with a lower lr_scale", done, m.InRow, m.Norm, l.again())
	}
	return nil
}

// score measures the policy.
func (l *PolicyLoop) score(ctx context.Context) error {
	scores, err := l.Score(ctx)
	if err != nil {
		return fmt.Errorf("score at step %d: %w", l.Policy.At(), err)
	}
	if l.progress.FirstScores == nil {
		l.progress.FirstScores = scores
	}
	l.progress.Scores = scores
	var words []string
	for _, name := range slices.Sorted(maps.Keys(scores)) {
		words = append(words, fmt.Sprintf("%s %.4g", name, scores[name]))
	}
	l.report(Event{Kind: runlog.KindEvent, Text: fmt.Sprintf("step %d: %s", l.Policy.At(), strings.Join(words, ", "))})
	return l.Log.Write(runlog.Record{Kind: runlog.KindEval, Step: l.Policy.At(), Values: scores})
}
