package speedrun

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"tandem/workbench/checkpoint"
	"tandem/workbench/eval"
	"tandem/workbench/lab"
	"tandem/workbench/runlog"
	"tandem/workbench/train"
)

// maker makes a stage, and says whether what it makes is there.
type maker struct {
	done func() (bool, error)
	make func(context.Context) error
}

func (s *speedrun) makers() map[string]maker {
	return map[string]maker{
		stageTokenizer: {func() (bool, error) { return s.has(lab.TokenizerFile) }, s.makeTokenizer},
		stageBase:      {s.baseDone, s.makeBase},
		stageSFT:       {func() (bool, error) { return isTrained(s.state.Plan.Tuned) }, s.makeTuned},
		stageEval:      {s.evaluated, s.evaluate},
		stageReport:    {s.reported, s.makeReport},
	}
}

// has says whether the speedrun's folder holds all these files.
func (s *speedrun) has(names ...string) (bool, error) {
	for _, name := range names {
		if _, err := os.Stat(filepath.Join(s.folder, name)); errors.Is(err, fs.ErrNotExist) {
			return false, nil
		} else if err != nil {
			return false, fmt.Errorf("speedrun: %w", err)
		}
	}
	return true, nil
}

// mostReadings is how often text can be read before reading it again teaches little (arXiv:2305.16264).
const mostReadings = 4

// makeTokenizer trains the tokenizer and tokenises the corpus; both go to the cache, where trainings find them.
func (s *speedrun) makeTokenizer(ctx context.Context) error {
	c := s.state.Plan.Config
	tok, learned, err := lab.PrepareCorpus(ctx, c.Data, c.Model.Vocab, s.options.Say)
	if err != nil {
		return err
	}
	tokens := c.Train.Steps * c.Train.Batch * c.Train.Accumulate * c.Model.Resolved().Context
	if times := float64(tokens) / float64(max(1, learned)); times > mostReadings {
		s.options.Say(fmt.Sprintf("the base will read the corpus %.0f times: more text would teach it more; --data climbmix is half a billion tokens", times))
	}
	part := filepath.Join(s.folder, lab.TokenizerFile+partSuffix)
	if err := tok.Save(part); err != nil {
		return err
	}
	return os.Rename(part, filepath.Join(s.folder, lab.TokenizerFile))
}

// runProgress is how far a training's folder is.
type runProgress struct {
	run  *lab.Run        // nil without a checkpoint
	loop train.LoopState // as of its newest checkpoint
	// exists says that there is a folder, done that all steps are.
	exists, done bool
}

func progressOf(name string) (t runProgress, err error) {
	folder := lab.RunFolder(name)
	if _, err := os.Stat(folder); errors.Is(err, fs.ErrNotExist) {
		return t, nil
	}
	t.exists = true
	entries, skipped, err := checkpoint.List(folder)
	if err == nil && len(entries) == 0 && len(skipped) > 0 {
		err = fmt.Errorf("speedrun: %s has only checkpoints that cannot be used, such as %s; restore one, or remove the folder", name, skipped[0])
	}
	if err != nil || len(entries) == 0 {
		return t, err
	}
	if t.run, err = lab.OpenRun(folder); err != nil {
		return t, err
	}
	text, err := os.ReadFile(filepath.Join(entries[0].Dir, "state.json"))
	if err == nil {
		err = json.Unmarshal(text, &t.loop)
	}
	if err != nil {
		return t, fmt.Errorf("read how far %s is: %w", name, err)
	}
	t.done = t.loop.Step >= t.run.Info.Config.Train.Resolved().Steps
	return t, nil
}

func isTrained(name string) (bool, error) {
	t, err := progressOf(name)
	return t.done, err
}

// baseDone also sees to it that a base is not made anew beside a tuning of the one before.
func (s *speedrun) baseDone() (bool, error) {
	base, err := progressOf(s.state.Plan.Base)
	if err != nil || base.exists || !s.state.Stages[stageSFT].Begun {
		return base.done, err
	}
	tuned, err := progressOf(s.state.Plan.Tuned)
	if err == nil && tuned.exists {
		err = fmt.Errorf("speedrun: the base is gone and %s, which was tuned from it, is there; remove that too, or choose another --run NAME", lab.RunFolder(s.state.Plan.Tuned))
	}
	return false, err
}

// begin finds out whether a training is to be resumed: then it gives its run. A folder that the speedrun made and that
// holds no checkpoint is removed.
func (s *speedrun) begin(name string) (*lab.Run, error) {
	t, err := progressOf(name)
	if err != nil || t.run != nil || !t.exists {
		return t.run, err
	}
	folder := lab.RunFolder(name)
	if writer := runlog.WriterOf(folder); writer != "" {
		return nil, fmt.Errorf("speedrun: %s is being written by %s; wait for it, or stop it", name, writer)
	}
	s.options.Say(fmt.Sprintf("%s ended before its first checkpoint and begins anew", name))
	if err := os.RemoveAll(folder); err != nil {
		return nil, fmt.Errorf("speedrun: %w", err)
	}
	return nil, nil
}

func (s *speedrun) makeBase(ctx context.Context) error {
	run, err := s.begin(s.state.Plan.Base)
	if err != nil {
		return err
	}
	c := s.state.Plan.Config
	if run != nil {
		c = run.Info.Config
	}
	_, err = lab.TrainConfig(ctx, c, lab.TrainOptions{Resume: run, Command: s.options.Command, Say: s.options.Say, Report: s.options.Report})
	return err
}

// base opens the finished base for a later stage.
func (s *speedrun) base() (*lab.Run, error) {
	t, err := progressOf(s.state.Plan.Base)
	if err == nil && !t.done {
		err = fmt.Errorf("speedrun: its base %s is not finished; do the stage %s before", s.state.Plan.Base, stageBase)
	}
	return t.run, err
}

func (s *speedrun) makeTuned(ctx context.Context) error {
	parent, err := s.base()
	if err != nil {
		return err
	}
	run, err := s.begin(s.state.Plan.Tuned)
	if err != nil {
		return err
	}
	plan := s.state.Plan
	o := lab.TuneOptions{Resume: run, Command: s.options.Command, Say: s.options.Say, Report: s.options.Report}
	if run != nil {
		_, err = lab.Tune(ctx, run.Info.Config, o)
		return err
	}
	c := lab.TuneConfig(parent)
	c.Name, c.Run, c.Data = plan.Tuned, plan.Tuned, plan.Conversations
	c.Train.Batch, c.Train.Accumulate, c.Train.LRScale = plan.Tuning.Batch, 1, plan.Tuning.LRScale
	c.Train.SaveEvery, c.Train.EvalEvery = share(plan.Tuning.MostSteps, saves), share(plan.Tuning.MostSteps, validations)
	o.Parent, o.Epochs, o.MostSteps = parent, s.options.Epochs, plan.Tuning.MostSteps
	_, err = lab.Tune(ctx, c, o)
	return err
}

// taskTokens is the tokens of an answer to a task's question at most.
const taskTokens = 256

// runs are those that are finished: the base, and the tuned one if it is.
func (s *speedrun) runs() (runs []runProgress, err error) {
	for _, name := range []string{s.state.Plan.Base, s.state.Plan.Tuned} {
		t, err := progressOf(name)
		if err != nil {
			return nil, err
		}
		if t.done {
			runs = append(runs, t)
		}
	}
	return runs, nil
}

// evaluated is true if every finished run has a report.
func (s *speedrun) evaluated() (bool, error) {
	runs, err := s.runs()
	if err != nil || !s.state.Stages[stageEval].Done {
		return false, err // a report may be there, but not with every task
	}
	for _, t := range runs {
		if _, err := evaluationOf(t); errors.Is(err, eval.ErrNoReport) {
			return false, nil
		} else if err != nil {
			return false, err
		}
	}
	return len(runs) > 0, nil
}

// evaluationOf reads the report on a run's last checkpoint.
func evaluationOf(t runProgress) (*lab.EvalReport, error) {
	entries, _, err := checkpoint.List(t.run.Folder)
	if err != nil {
		return nil, err
	}
	return eval.OpenReport(filepath.Join(t.run.Folder, lab.EvalFolder, filepath.Base(entries[0].Dir)))
}

func (s *speedrun) evaluate(ctx context.Context) error {
	if _, err := s.base(); err != nil {
		return err
	}
	runs, err := s.runs()
	if err != nil {
		return err
	}
	o, c := s.options, s.state.Plan.Config
	for _, t := range runs {
		tasks := o.Tasks
		if !t.run.Tuned() { // a base cannot answer yet
			if tasks = slices.DeleteFunc(slices.Clone(tasks), lab.IsAsked); len(tasks) < len(o.Tasks) && len(tasks) == 0 {
				tasks = []string{lab.TaskBits}
			}
		}
		s.options.Say("evaluating " + t.run.Name)
		if _, err := lab.Evaluate(ctx, t.run, c.Backend, lab.EvalOptions{
			Tasks: tasks, Data: o.TasksData, Limit: o.Limit, Corpus: c.Data, Say: o.Say, Count: o.Count,
			Answers: lab.EvalAnswers{Tokens: taskTokens},
		}); err != nil {
			return err
		}
	}
	return nil
}
