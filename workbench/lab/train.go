package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"tandem/models"
	"tandem/workbench/checkpoint"
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
	// BPB is the last validation loss in bits per byte, UnigramBPB that of a model that only counts tokens.
	BPB        float64 `json:"bpb"`
	UnigramBPB float64 `json:"unigram_bpb"`
	// Sample continues the configured prompt.
	Sample string `json:"sample"`
}

// Train trains a model as configured, in a folder under runs/. It stops cleanly when the context is cancelled, with
// train.ErrInterrupted and a checkpoint.
func Train(ctx context.Context, c *config.Config, o TrainOptions) (*TrainResult, error) {
	if o.Say == nil {
		o.Say = func(string) {}
	}
	model, err := models.New(c.Model)
	if err != nil {
		return nil, err
	}
	device, err := xla.Open(c.Backend)
	if err != nil {
		return nil, err
	}
	defer device.Finalize()
	o.Say(device.Summary())

	session := &session{config: c, options: o, device: device, model: model}
	defer session.close()
	if err := session.open(ctx); err != nil {
		return nil, err
	}
	loop, err := session.loop(ctx)
	if err != nil {
		return nil, err
	}
	runErr := loop.Run(ctx)
	state := loop.State()
	result := &TrainResult{
		Run: session.run, Name: session.run.Name, Steps: state.Step, Parameters: model.Parameters(), Tokens: state.Tokens,
		Seconds: state.Seconds, BPB: state.LastBPB, UnigramBPB: session.run.Info.UnigramBPB, Sample: session.lastSample,
	}
	return result, runErr
}

// session is what one training holds open.
type session struct {
	config  *config.Config
	options TrainOptions
	device  *xla.Device
	model   *models.Model

	run        *Run
	corpus     *prepared
	batches    *data.Batches
	trainer    *train.Trainer
	log        *runlog.Writer
	engine     *generate.Engine
	lastSample string
}

// open prepares the corpus, makes or opens the run's folder, and compiles the step.
func (s *session) open(ctx context.Context) (err error) {
	if name := s.config.Run; s.options.Resume == nil && name != "" { // refused now rather than after the work
		if _, err := os.Stat(runFolder(name)); err == nil {
			return taken(name)
		}
	}
	var tok *tokenizer.Tokenizer
	if s.options.Resume != nil {
		if tok, err = s.options.Resume.Tokenizer(); err != nil {
			return err
		}
	}
	if s.corpus, err = prepare(ctx, s.config.Data, s.config.Model.Vocab, tok, s.options.Say); err != nil {
		return err
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
	if s.run = s.options.Resume; s.run == nil {
		if err = s.create(); err != nil {
			return err
		}
	}
	log, dropped, err := runlog.Open(filepath.Join(s.run.Folder, metricsFile))
	if dropped > 0 {
		s.options.Say(fmt.Sprintf("metrics of %s: dropped %d bytes of a line that was cut short", s.run.Name, dropped))
	}
	s.log = log
	return err
}

// create makes the folder of a new run, with run.json and the tokenizer.
func (s *session) create() error {
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
	s.run.describe(s.config, s.device, s.model, unigram, s.options.Command)
	if err := s.corpus.tokenizer.Save(filepath.Join(s.run.Folder, tokenizerFile)); err != nil {
		return err
	}
	return runlog.WriteRun(s.run.Folder, s.run.Info)
}

func (s *session) batchOptions(split data.Split, seed uint64) data.BatchOptions {
	return data.BatchOptions{
		Split: split, Batch: s.config.Train.Resolved().Batch, Time: s.model.Config.Context, Seed: seed,
	}
}

// unigram measures the bar: bits per byte of token frequencies.
func (s *session) unigram() (float64, error) {
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

func (s *session) eachDocument(split data.Split, visit func(ids []int32)) (err error) {
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
func (s *session) loop(ctx context.Context) (*train.Loop, error) {
	loop := &train.Loop{
		Trainer: s.trainer, Folder: s.run.Folder, Log: s.log, Report: s.options.Report,
		Next: func() (train.Batch, error) {
			batch, err := s.batches.Next()
			if err != nil {
				return train.Batch{}, err
			}
			return train.Batch{Tokens: batch.Inputs, Targets: batch.Targets, Documents: batch.Documents}, nil
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
	return loop, s.resume(loop)
}

// resume restores the newest valid checkpoint of the run.
func (s *session) resume(loop *train.Loop) error {
	snapshot, entry, skipped, err := checkpoint.Latest(s.run.Folder)
	for _, bad := range skipped {
		s.options.Say("skipped checkpoint " + bad.String())
	}
	if err != nil {
		return err
	}
	var state train.LoopState
	if err := json.Unmarshal(snapshot.State, &state); err != nil {
		return fmt.Errorf("resume %s: state.json of %s: %w", s.run.Name, entry.Dir, err)
	}
	if err := s.trainer.Restore(snapshot); err != nil {
		return fmt.Errorf("resume %s: %w", s.run.Name, err)
	}
	if len(state.Data) > 0 {
		var position data.State
		if err := json.Unmarshal(state.Data, &position); err != nil {
			return fmt.Errorf("resume %s: data position in %s: %w", s.run.Name, entry.Dir, err)
		}
		if err := s.batches.Restore(position); err != nil {
			return fmt.Errorf("resume %s: %w", s.run.Name, err)
		}
	}
	if s.trainer.At() >= s.trainer.Options().Steps {
		return fmt.Errorf("resume %s: all %d steps are done; raise --steps to train on", s.run.Name, s.trainer.At())
	}
	loop.Resume(state)
	s.options.Say(fmt.Sprintf("resuming %s after step %d", s.run.Name, entry.Step))
	return s.log.Write(runlog.Record{Kind: runlog.KindResume, Step: entry.Step})
}

func (s *session) close() {
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
}
