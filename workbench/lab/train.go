package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"

	"tandem/models"
	"tandem/workbench/config"
	"tandem/workbench/data"
	"tandem/workbench/generate"
	"tandem/workbench/runlog"
	"tandem/workbench/tokenizer"
	"tandem/workbench/train"
	"tandem/xla"
)

// TrainOptions are what a training needs beside its configuration.
type TrainOptions struct {
	// Resume continues this run from its newest valid checkpoint; nil starts a new one.
	Resume *Run
	// Command is the command line, for run.json.
	Command []string
	// Device is where to train; nil opens the configuration's backend.
	Device *xla.Device
	// Say is told in words what is being done, Report what happens in training. Either may be nil.
	Say    func(string)
	Report func(train.Event)
}

// TrainResult is a finished training.
type TrainResult struct {
	Run        *Run    `json:"-"`
	Name       string  `json:"run"`
	Steps      int     `json:"steps"`
	Parameters int     `json:"parameters"`
	Tokens     int64   `json:"tokens"`
	Seconds    float64 `json:"seconds"`
	// DataWait is the share of Seconds that was spent waiting for data.
	DataWait float64 `json:"data_wait"`
	// BPB is the last validation loss in bits per byte, UnigramBPB that of a model that only counts tokens.
	BPB        float64 `json:"bpb"`
	UnigramBPB float64 `json:"unigram_bpb"`
	// Sample continues the configured prompt.
	Sample string `json:"sample"`
}

// TrainConfig trains a model as configured, in a folder under runs/. It stops cleanly when the context is cancelled, with
// train.ErrInterrupted and a checkpoint.
func TrainConfig(ctx context.Context, c *config.Config, o TrainOptions) (*TrainResult, error) {
	if o.Say == nil {
		o.Say = func(string) {}
	}
	model, err := models.New(c.Model)
	if err != nil {
		return nil, err
	}
	t := &training{config: c, options: o, device: o.Device, model: model}
	defer t.close()
	if err := t.claim(); err != nil {
		return nil, err
	}
	if t.device == nil {
		if t.owned, err = xla.Open(c.Backend); err != nil {
			return nil, err
		}
		t.device = t.owned
	}
	o.Say(t.device.Summary())
	if t.device.Kind == "go" {
		if err := FitsHost(model, c.Train.Memory(model)); err != nil {
			return nil, fmt.Errorf("train: %w", err)
		}
	}
	if err := t.open(ctx); err != nil {
		return nil, err
	}
	loop, err := t.loop(ctx)
	if err != nil {
		return nil, err
	}
	runErr := loop.Run(ctx)
	state := loop.State()
	result := &TrainResult{
		Run: t.run, Name: t.run.Name, Steps: state.Step, Parameters: model.Parameters(), Tokens: state.Tokens,
		Seconds: state.Seconds, BPB: state.LastBPB, UnigramBPB: t.run.Info.UnigramBPB, Sample: t.lastSample,
	}
	if state.Seconds > 0 {
		result.DataWait = state.DataSeconds / state.Seconds
	}
	return result, runErr
}

// training is what one training holds open.
type training struct {
	config  *config.Config
	options TrainOptions
	owned   *xla.Device // to be finalized
	device  *xla.Device
	model   *models.Model

	run        *Run
	lock       *runlog.Lock
	corpus     *prepared
	batches    *data.Batches
	trainer    *train.Trainer
	log        *runlog.Writer
	engine     *generate.Engine
	lastSample string
}

// claim refuses now, rather than after the work, a run that could not be written: a new one whose place is taken or cannot
// be written to, or one to resume that another command made or another process writes.
func (s *training) claim() (err error) {
	if s.run = s.options.Resume; s.run == nil {
		return checkNew(s.config.Run)
	}
	if err = s.run.resumes("train"); err != nil {
		return err
	}
	if err = keepsModel(s.run, s.config.Model); err != nil {
		return err
	}
	if s.lock, err = runlog.TakeLock(s.run.Folder, s.options.Command); err != nil {
		return err
	}
	s.log, err = s.run.openMetrics(s.options.Say)
	return err
}

// open prepares the corpus, compiles the step, and makes the folder of a new run.
func (s *training) open(ctx context.Context) (err error) {
	var tok *tokenizer.Tokenizer
	if s.run != nil {
		if tok, err = s.run.Tokenizer(); err != nil {
			return err
		}
	}
	if s.corpus, err = prepare(ctx, s.config.Data, s.config.Model.Vocab, tok, s.options.Say); err != nil {
		return err
	}
	if prompt, room := s.prompt(), s.model.Config.Context; len(prompt) > room {
		return fmt.Errorf("train: sample_prompt has %d tokens and the context is %d; shorten it", len(prompt), room)
	}
	o := s.config.Train.Resolved()
	options := s.batchOptions(data.Train, o.Seed)
	options.Loop = true
	if s.batches, err = data.NewBatches(s.corpus.shards, options); err != nil {
		return err
	}
	// A corpus without validation text is refused now, not at the first evaluation.
	if _, err = data.NewBatches(s.corpus.shards, s.batchOptions(data.Validation, 0)); err != nil {
		return err
	}
	s.options.Say(fmt.Sprintf("model %s: %d parameters; compiling", s.model.Config.Pattern, s.model.Parameters()))
	if s.trainer, err = train.New(s.device, s.model, s.config.Train); err != nil {
		return err
	}
	if s.run == nil {
		return s.create()
	}
	return nil
}

// create makes the folder of a new run, with run.json, the tokenizer and no metrics yet. After an error the folder is gone.
func (s *training) create() (err error) {
	unigram, err := s.unigram()
	if err != nil {
		return err
	}
	base := s.config.Name
	if base == "" {
		base = "run"
	}
	if s.run, err = newRun(s.config.Run, base); err != nil {
		return err
	}
	defer s.run.removeAfter(&err)
	if s.lock, err = runlog.TakeLock(s.run.Folder, s.options.Command); err != nil {
		return err
	}
	s.run.describe(s.config, s.device, s.model, unigram, s.options.Command)
	if err := s.corpus.tokenizer.Save(filepath.Join(s.run.Folder, TokenizerFile)); err != nil {
		return err
	}
	if err := runlog.WriteRun(s.run.Folder, s.run.Info); err != nil {
		return err
	}
	s.log, err = s.run.openMetrics(s.options.Say)
	return err
}

func (s *training) batchOptions(split data.Split, seed uint64) data.BatchOptions {
	return data.BatchOptions{
		Split: split, Batch: s.config.Train.Resolved().Batch, Time: s.model.Config.Context, Seed: seed,
	}
}

// unigram measures the bar: bits per byte of token frequencies.
func (s *training) unigram() (float64, error) {
	counts := make([]int64, s.corpus.tokenizer.VocabSize())
	err := s.eachDocument(data.Train, func(ids []int32) {
		for _, id := range ids {
			counts[id]++
		}
	})
	if err != nil {
		return 0, err
	}
	var held []int32
	err = s.eachDocument(data.Validation, func(ids []int32) { held = append(held, ids...) })
	return train.UnigramBPB(counts, s.corpus.tokenizer.ByteLengths(), held), err
}

func (s *training) eachDocument(split data.Split, visit func(ids []int32)) (err error) {
	var ids []int32
	for document := range s.corpus.shards.Documents(split) {
		if ids, err = s.corpus.shards.AppendDocument(ids[:0], split, document); err != nil {
			return err
		}
		visit(ids)
	}
	return nil
}

// loop connects the trainer to data, evaluation, samples and the log, and restores a resumed run.
func (s *training) loop(ctx context.Context) (*train.Loop, error) {
	loop := &train.Loop{
		Trainer: s.trainer, Folder: s.run.Folder, Log: s.log, Report: s.options.Report,
		Next: func() (train.Batch, error) {
			batch, err := s.batches.Next()
			if err != nil {
				return train.Batch{}, err
			}
			drawn := train.Batch{Tokens: batch.Inputs, Targets: batch.Targets, Documents: batch.Documents}
			for _, name := range batch.Began {
				drawn.Notes = append(drawn.Notes, fmt.Sprintf("corpus %s: all of it is used, and it begins anew", name))
			}
			return drawn, nil
		},
		Data: func() (json.RawMessage, error) {
			state, err := s.batches.State()
			if err != nil {
				return nil, err
			}
			return json.Marshal(state)
		},
		Evaluate: s.evaluate,
		Sample:   s.sample,
	}
	if s.options.Resume == nil {
		return loop, nil
	}
	return loop, resumeLoop(s.run, loop, s.options.Say, func(position json.RawMessage) error {
		var state data.State
		if err := json.Unmarshal(position, &state); err != nil {
			return fmt.Errorf("data position: %w", err)
		}
		return s.batches.Restore(state)
	})
}

func (s *training) close() {
	if s.engine != nil {
		s.engine.Close()
	}
	if s.trainer != nil {
		s.trainer.Close()
	}
	if s.log != nil {
		s.log.Close()
	}
	if s.corpus != nil {
		s.corpus.shards.Close()
	}
	if s.owned != nil {
		s.owned.Finalize()
	}
	s.lock.Release()
}
