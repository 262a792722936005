package lab

import (
	"context"
	"errors"
	"io"

	"tandem/workbench/data"
	"tandem/workbench/generate"
	"tandem/workbench/train"
)

// evaluate measures bits per byte on EvalBatches of the validation split, or on all of it if it is smaller: the same
// ones each time, from all over the split.
func (s *training) evaluate(ctx context.Context) (float64, error) {
	left := s.trainer.Options().EvalBatches
	options := s.batchOptions(data.Validation, 0)
	options.Loop = s.corpus.shards.Tokens(data.Validation) > int64(left*options.Batch*options.Time)
	batches, err := data.NewBatches(s.corpus.shards, options)
	if err != nil {
		return 0, err
	}
	return s.trainer.Evaluate(ctx, s.corpus.tokenizer.ByteLengths(), func() (train.Batch, bool, error) {
		if left == 0 {
			return train.Batch{}, false, nil
		}
		left--
		batch, err := batches.Next()
		if errors.Is(err, io.EOF) {
			return train.Batch{}, false, nil
		}
		if err != nil {
			return train.Batch{}, false, err
		}
		return train.Batch{Tokens: batch.Inputs, Targets: batch.Targets, Documents: batch.Documents}, true, nil
	})
}

// prompt is what samples begin with.
func (s *training) prompt() []int32 {
	return s.corpus.tokenizer.AppendEncode([]int32{s.corpus.tokenizer.BOS()}, s.config.Sample.Prompt)
}

// sample continues the configured prompt with the weights in training. The engine stays for the next time.
func (s *training) sample(ctx context.Context) (text string, err error) {
	o := SampleOptions{
		Prompt: s.config.Sample.Prompt, Tokens: s.config.Sample.Tokens, Temperature: s.config.Sample.Temperature,
		TopK: 40, Seed: uint64(s.trainer.At()),
	}.resolved()
	if s.engine == nil {
		// Keys and values cost by capacity, so the engine has room for this sample alone.
		capacity := min(s.model.Config.Context, len(s.prompt())+o.Tokens)
		s.engine, err = generate.New(s.device, s.model, s.trainer.Weights(), generate.Options{Capacity: capacity})
	} else {
		err = s.engine.SetWeights(s.trainer.Weights())
	}
	if err != nil {
		return "", err
	}
	s.lastSample, err = continueText(ctx, s.engine, s.corpus.tokenizer, o, nil)
	return s.lastSample, err
}
