package eval

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"tandem/workbench/chat"
	"tandem/workbench/generate"
)

// Answerer answers questions; sample tells several answers to one question apart. It is called concurrently.
type Answerer func(ctx context.Context, question string, sample int) (chat.Content, error)

// AnswerOptions say how a model answers the questions of generative tasks.
type AnswerOptions struct {
	// Samples are drawn of each question; 0 is 1. More need a Temperature.
	Samples int
	// Tokens of an answer at most; 0 is 512.
	Tokens int
	// Sampling is the choice of each token; sample i of a question draws with Seed + i.
	Sampling generate.Sampling
	// AtOnce is how many answers are in the making; 0 is 32.
	AtOnce int
}

func (o AnswerOptions) resolved() AnswerOptions {
	o.Samples = max(1, o.Samples)
	if o.Tokens == 0 {
		o.Tokens = 512
	}
	if o.AtOnce == 0 {
		o.AtOnce = 32
	}
	return o
}

// Validate reports the first option that cannot be.
func (o AnswerOptions) Validate() error {
	switch {
	case o.Samples < 0 || o.Samples > 1000:
		return fmt.Errorf("samples %d: must lie between 1 and 1000", o.Samples)
	case o.Samples > 1 && o.Sampling.Temperature == 0:
		return fmt.Errorf("samples %d at temperature 0 are all the same; give a temperature such as 0.8", o.Samples)
	case o.Tokens < 0:
		return fmt.Errorf("answer tokens %d: may not be negative", o.Tokens)
	}
	return o.Sampling.Validate()
}

// Answers lets a chat model answer, each question in a conversation of its own, with the calculator as its tool.
func Answers(model *chat.Model, o AnswerOptions) Answerer {
	o = o.resolved()
	return func(ctx context.Context, question string, sample int) (chat.Content, error) {
		options := chat.Options{MaxTokens: o.Tokens, Sampling: o.Sampling}
		options.Sampling.Seed += uint64(sample)
		answer, err := model.Answer(ctx, chat.Conversation{}.With(chat.User, question), nil, options)
		if err != nil {
			return nil, err
		}
		defer answer.Close()
		for _, err := range answer.Deltas() {
			if err != nil {
				return nil, err
			}
		}
		return answer.Content(), nil
	}
}

// problem is an example that is answered in words; score says how right an answer is, from 0 to 1, and is called concurrently.
type problem struct {
	id, question string
	score        func(ctx context.Context, answer string) (float64, error)
}

// whether is the score of what is right or wrong.
func whether(right bool) float64 {
	if right {
		return 1
	}
	return 0
}

// answerAll puts questions to a model, AtOnce at a time, and judges the answers. Questions too long for the model are
// skipped; on any other error, or when ctx ends, what is under way is given up.
func (r *Result) answerAll(ctx context.Context, problems []problem, answer Answerer, o AnswerOptions, report func(done, all int)) error {
	o = o.resolved()
	started := time.Now()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	tries := make([]try, len(problems)*o.Samples)
	next, done := make(chan int), 0
	var mu sync.Mutex
	var group sync.WaitGroup
	for range min(o.AtOnce, len(tries)) {
		group.Go(func() {
			for at := range next {
				t, err := attempt(ctx, problems[at/o.Samples], answer, at%o.Samples)
				if err != nil {
					cancel(err)
					continue
				}
				mu.Lock()
				tries[at] = t
				if done++; report != nil {
					report(done, len(tries))
				}
				mu.Unlock()
			}
		})
	}
	for at := range tries {
		select {
		case next <- at:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(next)
	group.Wait()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	r.judge(problems, tries, o.Samples)
	r.Seconds = time.Since(started).Seconds()
	return r.finish(1)
}

// try is one sample of an answer.
type try struct {
	text    string
	score   float64
	tooLong error
}

func attempt(ctx context.Context, p problem, answer Answerer, sample int) (t try, err error) {
	content, err := answer(ctx, p.question, sample)
	if errors.Is(err, chat.ErrTooLong) {
		return try{tooLong: err}, nil
	}
	if err != nil {
		return t, err
	}
	t.text = content.Text()
	t.score, err = p.score(ctx, t.text)
	return t, err
}

// judge turns tries into outcomes, and into pass@k for k = 1, 10, 100 and the number of samples.
func (r *Result) judge(problems []problem, tries []try, samples int) {
	ks := []int{1}
	for _, k := range []int{10, 100} {
		if k < samples {
			ks = append(ks, k)
		}
	}
	if samples > 1 {
		ks = append(ks, samples)
	}
	sums := map[int]float64{}
	for i, p := range problems {
		own, right, sum := tries[i*samples:(i+1)*samples], 0, 0.0
		if own[0].tooLong != nil {
			r.Skipped.add(p.id + ": " + own[0].tooLong.Error())
			continue
		}
		for _, t := range own {
			if sum += t.score; t.score == 1 {
				right++
			}
		}
		for _, k := range ks {
			sums[k] += PassAtK(samples, right, k)
		}
		r.Outcomes = append(r.Outcomes, Outcome{ID: p.id, Value: sum / float64(samples), Weight: 1, Answer: own[0].text})
	}
	if samples == 1 || len(r.Outcomes) == 0 {
		return
	}
	r.PassAt = map[int]float64{}
	for k, sum := range sums {
		r.PassAt[k] = sum / float64(len(r.Outcomes))
	}
}
