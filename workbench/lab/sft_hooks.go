package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"tandem/workbench/chat"
	"tandem/workbench/data"
	"tandem/workbench/generate"
	"tandem/workbench/runlog"
	"tandem/workbench/train"
)

// loop connects the trainer to conversations, validation, samples and the log, and restores a resumed run.
func (t *tuning) loop(ctx context.Context) (*train.Loop, error) {
	loop := &train.Loop{
		Trainer: t.trainer, Folder: t.run.Folder, Log: t.log, Report: t.options.Report,
		Next: func() (train.Batch, error) {
			batch, err := t.batches.Next()
			if err != nil {
				return train.Batch{}, err
			}
			return train.Batch{Tokens: batch.Inputs, Targets: batch.Targets, Documents: batch.Documents}, nil
		},
		Data:   func() (json.RawMessage, error) { return json.Marshal(t.batches.State()) },
		Sample: t.sample,
	}
	if t.conversations.Validation > 0 {
		loop.Evaluate = t.evaluate
	}
	if t.options.Resume == nil {
		return loop, t.log.Write(t.counts())
	}
	return loop, resumeLoop(t.run, loop, t.options.Say, func(position json.RawMessage) error {
		var state data.MaskedState
		if err := json.Unmarshal(position, &state); err != nil {
			return fmt.Errorf("data position: %w", err)
		}
		return t.batches.Restore(state)
	})
}

// counts records what was read and skipped, and the model as it was before.
func (t *tuning) counts() runlog.Record {
	c := t.conversations.Conversations
	values := map[string]float64{"read": float64(c.Read), "train": float64(c.Train), "validation": float64(c.Validation)}
	for _, skipped := range c.Skipped {
		values["skipped: "+skipped.Reason] = float64(skipped.Count)
	}
	if t.run.Info.BaseBPB > 0 {
		values["base_bpb"] = t.run.Info.BaseBPB
	}
	return runlog.Record{Kind: runlog.KindEvent, Values: values, Text: map[string]string{"text": c.String()}}
}

// evaluate measures bits per byte where some are held out, and the tasks' scores where some are asked for.
func (t *tuning) evaluate(ctx context.Context) (bpb float64, err error) {
	if bpb, err = t.bitsPerByte(ctx); err == nil && t.tasks != nil {
		err = t.scores(ctx)
	}
	return bpb, err
}

// bitsPerByte is over the assistant's text in EvalBatches of the held-out conversations, or in all of them if they are
// fewer: the same ones each time.
func (t *tuning) bitsPerByte(ctx context.Context) (float64, error) {
	o, held := t.trainer.Options(), t.conversations.held
	left := o.EvalBatches
	batches, err := held.Batches(data.MaskedOptions{
		Batch: o.Batch, Loop: held.Tokens() > int64(left*o.Batch*t.model.Config.Context),
	})
	if err != nil {
		return 0, err
	}
	bpb, err := t.trainer.Evaluate(ctx, t.tokenizer.ByteLengths(), func() (train.Batch, bool, error) {
		batch, err := batches.Next()
		if left == 0 || errors.Is(err, io.EOF) {
			return train.Batch{}, false, nil
		}
		left--
		return train.Batch{Tokens: batch.Inputs, Targets: batch.Targets, Documents: batch.Documents}, true, err
	})
	if ctx.Err() != nil { // else nothing measured looks like nothing to measure
		return 0, ctx.Err()
	}
	return bpb, err
}

// current is a chat over the weights in training, valid until the next step. Its engine stays for the next time.
func (t *tuning) current() (*Chat, error) {
	if t.chat != nil {
		return t.chat, t.chat.Engine.SetWeights(t.trainer.Weights())
	}
	engine, err := generate.New(t.device, t.model, t.trainer.Weights(), generate.Options{})
	if err != nil {
		return nil, err
	}
	c := &Chat{Run: t.run, Device: t.device, Tokenizer: t.tokenizer, Engine: engine, Overflow: overflowOf(t.model)}
	if c.Model, err = chat.NewModel(chat.Over(engine), t.tokenizer); err != nil {
		engine.Close()
		return nil, err
	}
	t.chat = c
	return c, nil
}

// sample asks the configured question.
func (t *tuning) sample(ctx context.Context) (string, error) {
	model, err := t.current()
	if err != nil {
		return "", err
	}
	s := t.config.Sample
	answer, err := model.Model.Answer(ctx, chat.Conversation{}.With(chat.User, s.Prompt), nil, chat.Options{
		MaxTokens: s.Tokens, Overflow: generate.OverflowError,
		Sampling: generate.Sampling{Temperature: s.Temperature, TopK: 40, Seed: uint64(t.trainer.At())},
	})
	if err != nil {
		return "", err
	}
	text := strings.Builder{}
	fmt.Fprintf(&text, "user: %s\nassistant: ", s.Prompt)
	for delta, err := range answer.Deltas() {
		if err != nil {
			return "", err
		}
		text.WriteString(delta.Text)
	}
	t.lastSample = text.String()
	return t.lastSample, nil
}
