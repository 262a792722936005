package lab

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/gomlx/gomlx/core/tensors"

	"tandem/models"
	"tandem/workbench/chat"
	"tandem/workbench/checkpoint"
	"tandem/workbench/config"
	"tandem/workbench/generate"
	"tandem/workbench/runlog"
	"tandem/workbench/tokenizer"
	"tandem/workbench/train"
	"tandem/xla"
)

// PolicyOptions are those of the objective.
type PolicyOptions = train.PolicyOptions

// RLOptions are what a training on rewards needs beside its configuration.
type RLOptions struct {
	// Parent is the run to train, from its newest valid checkpoint, into a new run.
	Parent *Run
	// Resume continues a training on rewards from its newest valid checkpoint instead, with the settings it began with.
	Resume *Run
	// Settings say how answers are drawn and learned from.
	Settings RLSettings
	// Questions, if there are any, are asked instead of the configuration's Data, and Held instead of those held out: tasks
	// of one's own, with rewards of any kind. A training that is resumed must be given the same.
	Questions, Held []RLQuestion
	// Command is the command line, for run.json.
	Command []string
	// Device is where to train; nil opens the configuration's backend.
	Device *xla.Device
	// Say is told in words what is being done, Report what happens in training. Either may be nil.
	Say    func(string)
	Report func(train.Event)
}

// RLResult is a finished training on rewards.
type RLResult struct {
	Run        *Run    `json:"-"`
	Name       string  `json:"run"`
	Parent     *Parent `json:"parent"`
	Steps      int     `json:"steps"`
	Parameters int     `json:"parameters"`
	// Rollouts is the answers drawn, Drawn their tokens, and Seconds the time, of which RollSeconds went into drawing.
	Rollouts    int64   `json:"rollouts"`
	Drawn       int64   `json:"drawn"`
	Seconds     float64 `json:"seconds"`
	RollSeconds float64 `json:"roll_seconds"`
	// Reward is the last round's mean.
	Reward float64 `json:"reward"`
	// Before and After are measured on the questions held out: reward, and pass@k.
	Before map[string]float64 `json:"before,omitempty"`
	After  map[string]float64 `json:"after,omitempty"`
	// Sample is a conversation of one question.
	Sample string `json:"sample"`
}

// RLConfig is the configuration that a training on rewards begins with: the run's own, with nanochat's schedule, a twentieth
// of the rates, falling to none. Steps is 0, which stands for asking each question once.
func RLConfig(parent *Run) *config.Config {
	c := *parent.Info.Config
	c.Name, c.Run, c.Data, c.Sample.Prompt = parent.Name+"-rl", "", ArithmeticSpec, ""
	t := &c.Train
	t.Steps, t.Minutes, t.Accumulate, t.Warm = 0, 0, 1, 0
	t.LRScale, t.WeightDecay, t.Warmup, t.Warmdown = 0.05, 0, 1, 1
	t.FinalLR = 1e-6  // none; a zero would stand for the default
	t.SpikeLimit = -1 // the loss is no measure here, and few answers make the gradient
	t.EvalEvery, t.SaveEvery, t.SampleEvery = 60, 60, 0
	return &c
}

// RL trains a run's model on rewards of its own answers, in a new folder under runs/. It stops cleanly when the context is
// cancelled, with train.ErrInterrupted and a checkpoint. c is RLConfig's, or of a training that is resumed its own, with
// what the caller changed; the architecture must stay.
func RL(ctx context.Context, c *config.Config, o RLOptions) (*RLResult, error) {
	if o.Say == nil {
		o.Say = func(string) {}
	}
	r := &reinforcement{config: c, options: o}
	defer r.close()
	if err := r.open(ctx); err != nil {
		return nil, err
	}
	loop, err := r.loop()
	if err != nil {
		return nil, err
	}
	runErr := loop.Run(ctx)
	state, progress := loop.State(), loop.Progress()
	result := &RLResult{
		Run: r.run, Name: r.run.Name, Parent: r.run.Info.Parent, Steps: state.Step, Parameters: r.model.Parameters(),
		Rollouts: progress.Rollouts, Drawn: progress.Drawn, Seconds: state.Seconds, RollSeconds: progress.RollSeconds,
		Reward: progress.Reward, Before: progress.FirstScores, After: progress.Scores, Sample: r.lastSample,
	}
	return result, runErr
}

// reinforcement is what one training on rewards holds open.
type reinforcement struct {
	config   *config.Config
	options  RLOptions
	settings RLSettings
	owned    *xla.Device // to be finalized
	device   *xla.Device
	model    *models.Model

	tokenizer *tokenizer.Tokenizer
	template  *chat.Template
	questions *rlQuestions
	policy    *train.Policy
	reference []*tensors.Tensor
	engine    *generate.Engine
	chat      *chat.Model
	run       *Run
	lock      *runlog.Lock
	log       *runlog.Writer

	lastSample string
}

// open reads the questions, compiles the step, loads the parent's weights and makes the run's folder.
func (r *reinforcement) open(ctx context.Context) (err error) {
	from := r.options.Parent
	r.settings = r.options.Settings.resolved()
	if r.options.Resume != nil {
		from = r.options.Resume
		if err = from.resumes("rl"); err != nil {
			return err
		}
		r.settings = *from.Info.RL
		if r.lock, err = runlog.TakeLock(from.Folder, r.options.Command); err != nil {
			return err
		}
	} else if err := checkNew(r.config.Run); err != nil {
		return err
	}
	if err := r.settings.Validate(); err != nil {
		return fmt.Errorf("rl %s: %w", from.Name, err)
	}
	if err := r.read(ctx, from); err != nil {
		return err
	}
	if r.device = r.options.Device; r.device == nil {
		if r.owned, err = xla.Open(r.config.Backend); err != nil {
			return err
		}
		r.device = r.owned
	}
	r.options.Say(r.device.Summary())
	r.options.Say(fmt.Sprintf("model %s: %d parameters; compiling", r.model.Config.Pattern, r.model.Parameters()))
	if r.policy, err = train.NewPolicy(r.device, r.model, r.config.Train, r.settings.PolicyOptions, r.capacity()); err != nil {
		return fmt.Errorf("rl %s: %w", from.Name, err)
	}
	if r.run = r.options.Resume; r.run == nil {
		if err = r.create(from); err != nil {
			return err
		}
	}
	return r.openReference()
}

// read makes template, model and questions, and decides how many steps there are.
func (r *reinforcement) read(ctx context.Context, from *Run) (err error) {
	if r.tokenizer, err = from.Tokenizer(); err != nil {
		return err
	}
	if r.template, err = chat.NewTemplate(r.tokenizer); err != nil {
		return fmt.Errorf("rl %s: its vocabulary lacks the tokens of a chat; train a model whose tokenizer workbench made: %w", from.Name, err)
	}
	if r.model, err = models.New(r.config.Model); err != nil {
		return err
	}
	if r.questions, err = r.readQuestions(ctx); err != nil {
		return fmt.Errorf("rl %s: %w", from.Name, err)
	}
	r.options.Say(r.questions.String())
	if err = r.checkSample(); err != nil {
		return fmt.Errorf("rl %s: %w", from.Name, err)
	}
	switch {
	case r.options.Resume == nil:
		r.settings.Content = r.questions.content
	case r.settings.Content != r.questions.content:
		return fmt.Errorf("resume %s: it was begun with other questions than %s has now; give it the same, or begin anew without --resume", from.Name, r.questions.spec)
	}
	if r.options.Resume == nil && !from.Tuned() {
		r.options.Say(fmt.Sprintf("%s was trained on text, not to answer, and may never earn a reward; workbench sft teaches it first", from.Name))
	}
	if r.config.Train.Steps == 0 {
		updates := max(1, r.settings.Updates)
		r.config.Train.Steps = updates * max(1, len(r.questions.train)/r.settings.Questions)
	}
	return nil
}

// create takes the parent's newest weights and makes the folder of a new run, with run.json and the tokenizer.
// After an error the folder is gone.
func (r *reinforcement) create(parent *Run) (err error) {
	snapshot, entry, skipped, err := checkpoint.LatestModel(parent.Folder)
	for _, bad := range skipped {
		r.options.Say("skipped checkpoint " + bad.String())
	}
	if err != nil {
		return err
	}
	if err := r.policy.StartFrom(snapshot, false); err != nil {
		return fmt.Errorf("rl %s: %w", parent.Name, err)
	}
	if r.run, err = newRun(r.config.Run, r.config.Name); err != nil {
		return err
	}
	defer r.run.removeAfter(&err)
	if r.lock, err = runlog.TakeLock(r.run.Folder, r.options.Command); err != nil {
		return err
	}
	r.run.describe(r.config, r.device, r.model, 0, r.options.Command)
	r.run.Info.Parent = &Parent{Run: parent.Name, Checkpoint: filepath.Base(entry.Dir), Step: entry.Step}
	r.run.Info.RL = &r.settings
	if err := r.tokenizer.Save(filepath.Join(r.run.Folder, TokenizerFile)); err != nil {
		return err
	}
	if r.settings.KL > 0 {
		snapshot.State, snapshot.Optimizer = nil, nil
		if _, err := checkpoint.Save(r.referenceRun().Folder, snapshot); err != nil {
			return err
		}
	}
	return runlog.WriteRun(r.run.Folder, r.run.Info)
}

// referenceRun stands for the folder in which the run keeps the weights that KL compares with: the parent may train on.
func (r *reinforcement) referenceRun() *Run {
	return &Run{Name: r.run.Name, Folder: filepath.Join(r.run.Folder, "reference")}
}

func (r *reinforcement) openReference() (err error) {
	if r.settings.KL == 0 {
		return nil
	}
	if r.reference, _, _, err = newestWeights(r.referenceRun(), r.model, r.device); err == nil {
		r.policy.SetReference(r.reference)
	}
	return err
}

func (r *reinforcement) close() {
	if r.engine != nil {
		r.engine.Close()
	}
	if r.policy != nil {
		r.policy.Close()
	}
	if r.log != nil {
		r.log.Close()
	}
	if r.owned != nil {
		r.owned.Finalize()
	}
	r.lock.Release()
}
