package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"

	"tandem/models"
	"tandem/workbench/chat"
	"tandem/workbench/checkpoint"
	"tandem/workbench/config"
	"tandem/workbench/data"
	"tandem/workbench/runlog"
	"tandem/workbench/tokenizer"
	"tandem/workbench/train"
	"tandem/xla"
)

// Parent says what a run was tuned from.
type Parent struct {
	Run string `json:"run"`
	// Checkpoint is the name of its folder, Step how many steps it had.
	Checkpoint string `json:"checkpoint"`
	Step       int    `json:"step"`
	// Optimizer says whether the optimizer's state was taken too.
	Optimizer bool `json:"optimizer"`
}

// TuneOptions are what an instruction tuning needs beside its configuration.
type TuneOptions struct {
	// Parent is the run to tune, from its newest valid checkpoint, into a new run.
	Parent *Run
	// Resume continues a tuning from its newest valid checkpoint instead; Parent, Epochs and Cold then have no meaning.
	Resume *Run
	// Epochs is how often each conversation is learned if the configuration does not say Steps; 0 is once.
	Epochs int
	// MostSteps bounds the steps of the epochs; 0 does not.
	MostSteps int
	// Cold begins with a new optimizer rather than with the parent's.
	Cold bool
	// Tasks are run after each validation, on the model as it is then; their values go to the metrics. The zero value is
	// none; Say, Count and Compare have no meaning here.
	Tasks EvalOptions
	// Command is the command line, for run.json.
	Command []string
	// Device is where to train; nil opens the configuration's backend.
	Device *xla.Device
	// Say is told in words what is being done, Report what happens in training. Either may be nil.
	Say    func(string)
	Report func(train.Event)
}

// TuneResult is a finished tuning.
type TuneResult struct {
	Run        *Run    `json:"-"`
	Name       string  `json:"run"`
	Parent     *Parent `json:"parent"`
	Steps      int     `json:"steps"`
	Parameters int     `json:"parameters"`
	Tokens     int64   `json:"tokens"`
	Seconds    float64 `json:"seconds"`
	// BaseBPB is the bits per byte on the assistant's text of held-out conversations before tuning, BPB after. Both are 0
	// if none is held out.
	BaseBPB float64 `json:"base_bpb,omitempty"`
	BPB     float64 `json:"bpb,omitempty"`
	// Conversations counts what was read and what was skipped.
	Conversations *Conversations `json:"conversations"`
	// Epochs is how often each conversation was learned, Utilisation the share of positions that held one.
	Epochs      float64 `json:"epochs"`
	Utilisation float64 `json:"utilisation"`
	// Sample is a conversation of one question.
	Sample string `json:"sample"`
}

// TuneConfig is the configuration that a tuning of a run begins with: the run's own, with the schedule of nanochat's
// instruction tuning. Steps and Minutes are 0, which stands for so many epochs; the prompt of samples is empty, which stands for a
// question from the data.
func TuneConfig(parent *Run) *config.Config {
	c := *parent.Info.Config
	c.Name, c.Run, c.Data, c.Sample.Prompt = parent.Name+"-sft", "", data.QuestionsSpec, ""
	t := &c.Train
	t.Steps, t.Minutes, t.LRScale, t.WeightDecay = 0, 0, 0.8, 0
	t.Warmup, t.Warmdown, t.FinalLR = 1, 0.5, 1e-6 // one step of warm-up and 1e-6 are none; zeros would stand for the defaults
	if parent.Info.RL != nil {
		t.SpikeLimit = 0 // the default again, for RLConfig sets none
	}
	return &c
}

// Tune trains a run's model on conversations, in a new folder under runs/: the assistant's text is learned, the rest is
// read. It stops cleanly when the context is cancelled, with train.ErrInterrupted and a checkpoint. c is TuneConfig's,
// or of a tuning that is resumed its own, with what the caller changed; the architecture must stay.
func Tune(ctx context.Context, c *config.Config, o TuneOptions) (*TuneResult, error) {
	if o.Say == nil {
		o.Say = func(string) {}
	}
	t := &tuning{config: c, options: o}
	defer t.close()
	if err := t.open(ctx); err != nil {
		return nil, err
	}
	loop, err := t.loop(ctx)
	if err != nil {
		return nil, err
	}
	runErr := loop.Run(ctx)
	state := loop.State()
	var position data.MaskedState // not the iterator's own, which the loop draws from ahead of time
	if err := json.Unmarshal(state.Data, &position); err != nil && runErr == nil {
		return nil, fmt.Errorf("tune %s: read the last data position: %w", t.run.Name, err)
	}
	stats := position.Stats
	info := &t.run.Info
	result := &TuneResult{
		Run: t.run, Name: t.run.Name, Parent: info.Parent, Steps: state.Step, Parameters: t.model.Parameters(), Tokens: state.Tokens,
		Seconds: state.Seconds, BaseBPB: info.BaseBPB, BPB: state.LastBPB, Conversations: info.Conversations,
		Epochs: float64(stats.Documents) / float64(t.conversations.Train), Utilisation: stats.Utilisation(), Sample: t.lastSample,
	}
	if runErr == nil {
		runErr = t.log.Write(runlog.Record{Kind: runlog.KindEvent, Step: state.Step, Text: map[string]string{"text": "tuned"},
			Values: map[string]float64{"epochs": result.Epochs, "utilisation": result.Utilisation}})
	}
	return result, runErr
}

// tuning is what one instruction tuning holds open.
type tuning struct {
	config  *config.Config
	options TuneOptions
	owned   *xla.Device // to be finalized
	device  *xla.Device
	model   *models.Model

	tokenizer     *tokenizer.Tokenizer
	template      *chat.Template
	conversations *conversations
	batches       *data.MaskedBatches
	trainer       *train.Trainer
	run           *Run
	lock          *runlog.Lock
	log           *runlog.Writer
	chat          *Chat       // over the weights in training
	evaluation    *evaluation // of tasks in training
	tasks         []evalTask
	lastSample    string
}

// open reads the conversations, compiles the step, loads the parent's weights and makes the run's folder.
func (t *tuning) open(ctx context.Context) (err error) {
	from := t.options.Parent
	if t.options.Resume != nil {
		from = t.options.Resume
		if err = from.resumes("sft"); err != nil {
			return err
		}
		if t.lock, err = runlog.TakeLock(from.Folder, t.options.Command); err != nil {
			return err
		}
	} else if err := checkNew(t.config.Run); err != nil {
		return err
	}
	if err := t.read(ctx, from); err != nil {
		return err
	}
	if t.device = t.options.Device; t.device == nil {
		if t.owned, err = xla.Open(t.config.Backend); err != nil {
			return err
		}
		t.device = t.owned
	}
	t.options.Say(t.device.Summary())
	if err := t.planScores(ctx); err != nil {
		return err
	}
	var snapshot checkpoint.Snapshot
	var entry checkpoint.Entry
	if t.options.Resume == nil {
		if snapshot, entry, err = t.parentCheckpoint(); err != nil {
			return err
		}
	}
	t.options.Say(fmt.Sprintf("model %s: %d parameters; compiling", t.model.Config.Pattern, t.model.Parameters()))
	if t.trainer, err = train.New(t.device, t.model, t.config.Train); err != nil {
		return err
	}
	if t.run = t.options.Resume; t.run == nil {
		if err = t.trainer.StartFrom(snapshot, !t.options.Cold); err != nil {
			if !t.options.Cold {
				err = fmt.Errorf("%w; with --cold the optimizer's state is not needed", err)
			}
			return fmt.Errorf("tune %s: %w", from.Name, err)
		}
		if err = t.create(ctx, entry); err != nil {
			return err
		}
	}
	t.log, err = t.run.openMetrics(t.options.Say)
	return err
}

// read makes template, model and batches, and decides how many steps there are.
func (t *tuning) read(ctx context.Context, from *Run) (err error) {
	if t.tokenizer, err = from.Tokenizer(); err != nil {
		return err
	}
	if t.template, err = chat.NewTemplate(t.tokenizer); err != nil {
		return fmt.Errorf("tune %s: its vocabulary lacks the tokens of a chat; train a model whose tokenizer workbench made: %w", from.Name, err)
	}
	if t.model, err = models.New(t.config.Model); err != nil {
		return err
	}
	room := t.model.Config.Context
	if t.conversations, err = readConversations(ctx, t.config.Data, t.template, room, t.options.Say); err != nil {
		return err
	}
	t.options.Say(t.conversations.String())
	if t.conversations.Validation == 0 {
		t.options.Say(fmt.Sprintf("no conversation is held out (about 1 in %d is), so there is no validation, and tasks are not run", data.ValidationShare))
	}
	if t.config.Sample.Prompt == "" {
		t.config.Sample.Prompt = t.conversations.question
	}
	prompt, err := t.template.Prompt(chat.Conversation{}.With(chat.User, t.config.Sample.Prompt))
	if err != nil {
		return fmt.Errorf("tune %s: sample_prompt: %w", from.Name, err)
	}
	if len(prompt) > room {
		return fmt.Errorf("tune %s: sample_prompt has %d tokens and the context is %d; shorten it", from.Name, len(prompt), room)
	}
	o := t.config.Train.Resolved()
	if t.config.Train.Steps == 0 && t.config.Train.Minutes == 0 {
		if t.config.Train.Steps, err = t.conversations.train.Steps(ctx, o.Batch*o.Accumulate, max(1, t.options.Epochs), o.Seed); err != nil {
			return err
		}
		if most := t.options.MostSteps; most > 0 {
			t.config.Train.Steps = min(most, t.config.Train.Steps)
		}
	}
	t.batches, err = t.conversations.train.Batches(data.MaskedOptions{Batch: o.Batch, Seed: o.Seed, Loop: true})
	return err
}

// parentCheckpoint loads the newest valid checkpoint of the parent.
func (t *tuning) parentCheckpoint() (checkpoint.Snapshot, checkpoint.Entry, error) {
	parent := t.options.Parent
	snapshot, entry, skipped, err := checkpoint.Latest(parent.Folder)
	for _, bad := range skipped {
		t.options.Say("skipped checkpoint " + bad.String())
	}
	if err == nil && !t.options.Cold {
		t.config.Train.Warm = snapshot.Step + parent.Info.Config.Train.Warm
	} else {
		t.config.Train.Warm = 0
	}
	return snapshot, entry, err
}

// create makes the folder of a new run, with run.json and the tokenizer, and measures the model as it is before. After an
// error the folder is gone.
func (t *tuning) create(ctx context.Context, entry checkpoint.Entry) (err error) {
	base, measured := 0.0, t.conversations.Validation > 0
	if measured {
		if base, err = t.bitsPerByte(ctx); err != nil {
			return err
		}
		t.options.Say(fmt.Sprintf("before tuning: %.4f bits per byte of the assistant's text", base))
	}
	if t.run, err = newRun(t.config.Run, t.config.Name); err != nil {
		return err
	}
	defer t.run.removeAfter(&err)
	if t.lock, err = runlog.TakeLock(t.run.Folder, t.options.Command); err != nil {
		return err
	}
	t.run.describe(t.config, t.device, t.model, 0, t.options.Command)
	t.run.Info.Parent = &Parent{Run: t.options.Parent.Name, Checkpoint: filepath.Base(entry.Dir), Step: entry.Step, Optimizer: !t.options.Cold}
	t.run.Info.Conversations, t.run.Info.BaseBPB = &t.conversations.Conversations, base
	if err := t.tokenizer.Save(filepath.Join(t.run.Folder, TokenizerFile)); err != nil {
		return err
	}
	return runlog.WriteRun(t.run.Folder, t.run.Info)
}

func (t *tuning) close() {
	if t.chat != nil {
		t.chat.Engine.Close()
	}
	if t.trainer != nil {
		t.trainer.Close()
	}
	if t.log != nil {
		t.log.Close()
	}
	if t.owned != nil {
		t.owned.Finalize()
	}
	t.lock.Release()
}
