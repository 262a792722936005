package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"

	"tandem/workbench/chat"
	"tandem/workbench/eval"
	"tandem/workbench/generate"
	"tandem/workbench/runlog"
	"tandem/workbench/train"
)

// loop connects the policy to its answers, scores, samples and the log, and restores a resumed run.
func (r *reinforcement) loop() (_ *train.PolicyLoop, err error) {
	if r.log, err = r.run.openMetrics(r.options.Say); err != nil {
		return nil, err
	}
	loop := &train.PolicyLoop{Policy: r.policy, Roll: r.roll, Loop: train.Loop{
		Trainer: r.policy.Trainer, Folder: r.run.Folder, Log: r.log, Report: r.options.Report, Sample: r.sample,
	}}
	if len(r.questions.held) > 0 {
		loop.Score = r.score
	}
	if r.options.Resume != nil {
		return loop, resumeLoop(r.run, &loop.Loop, r.options.Say, func(data json.RawMessage) error { return loop.ResumeData(data) })
	}
	return loop, r.log.Write(runlog.Record{Kind: runlog.KindEvent, Text: map[string]string{"text": r.questions.String()}, Values: map[string]float64{
		"train": float64(len(r.questions.train)), "validation": float64(len(r.questions.held)), "skipped": float64(r.questions.skipped.Count),
	}})
}

// capacity is the tokens of a row, in the engine and in training. What tools put in comes on top of an answer's tokens; one
// that becomes too long ends there.
func (r *reinforcement) capacity() int {
	const tools, step = 64, 64
	needed := r.questions.longest + r.settings.MaxTokens + tools
	return min((needed+step-1)/step*step, r.model.Config.Context)
}

// current gives the engine the weights in training. It keeps its programs.
func (r *reinforcement) current() (err error) {
	if r.engine != nil {
		return r.engine.SetWeights(r.policy.Weights())
	}
	rows := r.settings.Rows
	if rows == 0 {
		most := 32
		if r.device.Kind == "cuda" {
			most = 128
		}
		rows = min(most, r.settings.Questions*r.settings.Group)
	}
	queue := rows + 3*max(r.settings.Group, r.settings.HeldSamples) // more than are open at once; see rollouts
	r.engine, err = generate.New(r.device, r.model, r.policy.Weights(), generate.Options{Rows: rows, Capacity: r.capacity(), Queue: queue})
	if err == nil {
		r.chat, err = chat.NewModel(chat.Over(r.engine), r.tokenizer)
	}
	return err
}

// roll draws the answers of a round.
func (r *reinforcement) roll(ctx context.Context, step int) ([][]train.Rollout, error) {
	if err := r.current(); err != nil {
		return nil, err
	}
	round := step / r.settings.Updates
	return r.rollouts(ctx, r.ask(round), r.settings.Group, uint64(round))
}

// rollouts draws a group of answers to each question. The seeds are fixed by the run's, the stream, and
// the places of question and answer.
func (r *reinforcement) rollouts(ctx context.Context, questions []RLQuestion, samples int, stream uint64) ([][]train.Rollout, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	seeds := rand.New(rand.NewPCG(r.config.Train.Seed, stream))
	groups := make([][]train.Rollout, len(questions))
	// Enough questions at once that no row waits for a prompt, and no more, for each keeps the state of its own.
	open := make(chan struct{}, r.engine.Options().Rows/samples+2)
	var group sync.WaitGroup
	for i, question := range questions {
		seed := seeds.Uint64()
		groups[i] = make([]train.Rollout, samples)
		group.Go(func() {
			open <- struct{}{}
			defer func() { <-open }()
			if err := r.answers(ctx, question, seed, groups[i]); err != nil {
				cancel(err)
			}
		})
	}
	group.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	return groups, nil
}

// answers fills a group of answers to one question, whose prompt is fed once.
func (r *reinforcement) answers(ctx context.Context, question RLQuestion, seed uint64, rollouts []train.Rollout) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	thread, err := r.chat.Prime(ctx, chat.Conversation{}.With(chat.User, question.Question))
	if err != nil {
		return err
	}
	defer thread.Release()
	problems := make([]error, len(rollouts))
	var group sync.WaitGroup
	for i := range rollouts {
		group.Go(func() {
			sampling := generate.Sampling{Temperature: r.settings.Temperature, TopK: max(0, r.settings.TopK), Seed: seed + uint64(i)}
			answer, err := r.answer(ctx, question.Question, thread, sampling)
			if problems[i] = err; err != nil {
				return
			}
			trace := answer.Trace()
			// What a tool put in may reach beyond the row, where nothing is drawn any more.
			length := min(len(trace.Tokens), r.capacity()+1)
			rollouts[i] = train.Rollout{
				Tokens: trace.Tokens[:length], Drawn: trace.Drawn[:length], LogProbs: trace.LogProbs[:length],
				Reward: question.Reward(answer.Content().Text()), Ended: answer.Finish() == generate.FinishStop,
			}
		})
	}
	group.Wait()
	for _, err := range problems {
		if err != nil {
			return fmt.Errorf("answer %s: %w", question.ID, err)
		}
	}
	return nil
}

// answer draws one answer to its end.
func (r *reinforcement) answer(ctx context.Context, question string, thread *chat.Thread, sampling generate.Sampling) (*chat.Answer, error) {
	answer, err := r.chat.Answer(ctx, chat.Conversation{}.With(chat.User, question), thread, chat.Options{MaxTokens: r.settings.MaxTokens, Sampling: sampling})
	if err != nil {
		return nil, err
	}
	defer answer.Close()
	for _, err := range answer.Deltas() {
		if err != nil {
			return nil, err
		}
	}
	return answer, nil
}

// score asks the questions held out, with the same seeds each time: the mean reward, and pass@k for k = 1, 2, 4, …
func (r *reinforcement) score(ctx context.Context) (map[string]float64, error) {
	if err := r.current(); err != nil {
		return nil, err
	}
	samples := r.settings.HeldSamples
	groups, err := r.rollouts(ctx, r.questions.held, samples, heldStream)
	if err != nil {
		return nil, err
	}
	scores, count := map[string]float64{}, float64(len(groups))
	for _, group := range groups {
		right := 0
		for _, rollout := range group {
			scores["held_reward"] += rollout.Reward / count / float64(samples)
			if rollout.Reward >= 1 {
				right++
			}
		}
		for k := 1; k <= samples; k *= 2 {
			scores[fmt.Sprintf("pass@%d", k)] += eval.PassAtK(samples, right, k) / count
		}
	}
	return scores, nil
}

// sample asks the configured question, or else the first that is held out or to be learned.
func (r *reinforcement) sample(ctx context.Context) (string, error) {
	if err := r.current(); err != nil {
		return "", err
	}
	s := r.config.Sample
	question := s.Prompt
	if question == "" {
		question = append(r.questions.held[:len(r.questions.held):len(r.questions.held)], r.questions.train...)[0].Question
	}
	answer, err := r.answer(ctx, question, nil, generate.Sampling{Temperature: s.Temperature, TopK: 40, Seed: uint64(r.policy.At())})
	if err != nil {
		return "", err
	}
	r.lastSample = fmt.Sprintf("user: %s\nassistant: %s", question, strings.TrimRight(answer.Content().Text(), "\n"))
	return r.lastSample, nil
}
