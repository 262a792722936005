package speedrun

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"tandem/workbench/config"
	"tandem/workbench/lab"
	"tandem/workbench/train"
)

// Stages are what a speedrun consists of, in their order.
var Stages = []string{stageTokenizer, stageBase, stageSFT, stageEval, stageReport}

const (
	stageTokenizer = "tokenizer"
	stageBase      = "base"
	stageSFT       = "sft"
	stageEval      = "eval"
	stageReport    = "report"
)

// Wish is what decides a speedrun's plan. Its zero value is a plan for this machine.
type Wish struct {
	// Overrides are keys of the configuration, each KEY=VALUE. Of these, depth or pattern is the dial, minutes bounds the
	// base's steps by time, and any other takes the place of what would be derived.
	Overrides []string `json:"overrides,omitempty"`
	// Ratio is the tokens of the base for each of its scaling parameters; 0 is config.DefaultRatio.
	Ratio float64 `json:"ratio,omitempty"`
	// GPU names the card that predictions are for; "" is this machine's. Another than that can only be planned for.
	GPU string `json:"gpu,omitempty"`
	// Conversations is what the base is tuned on, in the words of Tune; "" is questions on the Go documentation. Epochs is
	// how often; 0 is once.
	Conversations string `json:"conversations,omitempty"`
	Epochs        int    `json:"epochs,omitempty"`
	// Tasks are evaluated, and find their examples in TasksData, Limit of each at most (0 is all); without any it is bits
	// per byte, and what TasksData holds.
	Tasks     []string `json:"tasks,omitempty"`
	TasksData string   `json:"tasks_data,omitempty"`
	Limit     int      `json:"tasks_limit,omitempty"`
}

// Options are a wish and how to go about it.
type Options struct {
	Wish
	// Name is that of the speedrun's folder under runs/, or its path; its runs have the same with -base and -sft. "" is
	// speedrun-dN, N being the depth.
	Name string
	// Stages are those to do, by their names; none is all.
	Stages []string
	// Command is the command line, for run.json.
	Command []string
	// Planned is told the plan before anything is done, Say in words what is being done, Report what happens in training,
	// Count how many examples of a task are done. Any may be nil.
	Planned func(Plan)
	Say     func(string)
	Report  func(train.Event)
	Count   func(task string, done, all int)
}

// Make makes a chat from nothing: a tokenizer, a base model, its tuning on conversations, evaluations and a report.
// Each stage is done once: called again with the same wish it skips what is finished and resumes what was interrupted,
// whatever ended the process. Another wish under the same name is an error. When ctx ends the error is lab.ErrInterrupted.
func Make(ctx context.Context, o Options) (*Report, error) {
	o = o.resolved()
	if err := o.Validate(); err != nil {
		return nil, err
	}
	s, err := open(ctx, o)
	if err != nil {
		return nil, worded(ctx, err, "planning")
	}
	defer s.lock.Release()
	for _, stage := range Stages {
		if len(o.Stages) > 0 && !slices.Contains(o.Stages, stage) {
			continue
		}
		if err := s.do(ctx, stage); err != nil {
			return nil, worded(ctx, err, "stage "+stage)
		}
	}
	return s.report()
}

// MakePlan is the plan alone: that of a speedrun that has begun with this wish, or a new one. It writes nothing.
func MakePlan(ctx context.Context, o Options) (Plan, error) {
	o = o.resolved()
	if err := o.Validate(); err != nil {
		return Plan{}, err
	}
	p, err := o.planner()
	if err != nil {
		return Plan{}, err
	}
	state, err := readState(lab.RunFolder(p.plan.Name))
	switch {
	case err != nil:
		return Plan{}, err
	case state != nil && state.Hash != o.hash():
		return Plan{}, state.refuse(o.Wish)
	case state != nil:
		return state.Plan, nil
	}
	plan, err := p.make(ctx)
	return plan, worded(ctx, err, "planning")
}

func (o Options) resolved() Options {
	if o.Planned == nil {
		o.Planned = func(Plan) {}
	}
	if o.Say == nil {
		o.Say = func(string) {}
	}
	if o.Report == nil {
		o.Report = func(train.Event) {}
	}
	if o.Count == nil {
		o.Count = func(string, int, int) {}
	}
	o.Name = lab.PlainPath(o.Name)
	o.Overrides = slices.Sorted(slices.Values(o.Overrides))
	return o
}

// Validate reports the first thing that cannot be, before the machine is looked at.
func (o Options) Validate() error {
	for _, stage := range o.Stages {
		if !slices.Contains(Stages, stage) {
			return fmt.Errorf("speedrun: unknown stage %q; there are %s", stage, strings.Join(Stages, ", "))
		}
	}
	if o.Epochs < 0 || o.Limit < 0 || !(o.Ratio >= 0) {
		return fmt.Errorf("speedrun: epochs %d, tasks_limit %d, ratio %g: may not be negative; 0 is the default", o.Epochs, o.Limit, o.Ratio)
	}
	given := o.given()
	if given["run"] {
		return errors.New("speedrun: run is no key here; give the name as Name")
	}
	if given["steps"] && (given["minutes"] || given["ratio"]) || given["minutes"] && given["ratio"] {
		return errors.New("speedrun: steps, minutes and ratio each say how long the base trains; give one")
	}
	_, err := config.Load("", o.Overrides)
	return err
}

// lookAhead refuses what only a late stage would, after the base was trained in vain: tasks that do not exist or have no
// examples, and conversations on this machine that are not there, empty, or of no known format.
func (w Wish) lookAhead(ctx context.Context) error {
	for _, task := range w.Tasks {
		if lab.RunsCode(task) {
			return fmt.Errorf("speedrun: tasks: %s runs code that the model writes, and a speedrun never does; leave it out, and ask for it afterwards with: workbench eval --tasks %s --run-code", task, task)
		}
		if err := lab.CheckTask(ctx, task, w.TasksData); err != nil {
			return fmt.Errorf("speedrun: tasks: %w", err)
		}
	}
	if _, err := os.Stat(w.TasksData); w.TasksData != "" && err != nil {
		return fmt.Errorf("speedrun: tasks_data %q: %w; give a folder that holds NAME.jsonl of each task", w.TasksData, err)
	}
	if w.Conversations == "" {
		return nil
	}
	if err := lab.CheckConversations(ctx, w.Conversations); err != nil {
		return fmt.Errorf("speedrun: %w", err)
	}
	return nil
}

// given are the keys that take the place of what would be derived. A zero stands for the default, but where it means none.
func (w Wish) given() map[string]bool {
	keys := map[string]bool{"ratio": w.Ratio != 0}
	for _, pair := range w.Overrides {
		key, value, _ := strings.Cut(pair, "=")
		number, err := strconv.ParseFloat(value, 64)
		keys[key] = err != nil || number != 0 || key == "weight_decay" || key == "checkpoint"
	}
	return keys
}

// do makes one stage, unless it is made already. What was made of an older version of it is made again.
func (s *speedrun) do(ctx context.Context, stage string) error {
	maker := s.makers()[stage]
	done, err := maker.done()
	if err != nil {
		return err
	}
	record := s.state.Stages[stage]
	if done && record.Done {
		s.options.Say(fmt.Sprintf("stage %s: done already, in %s", stage, duration(record.Seconds)))
		return nil
	}
	s.options.Say(fmt.Sprintf("stage %s", stage))
	for _, later := range Stages[slices.Index(Stages, stage):] {
		s.state.Stages[later].Done = false
	}
	record.Begun = true
	if err := s.save(); err != nil {
		return err
	}
	started := time.Now()
	if !done {
		err = maker.make(ctx)
	}
	record.Seconds += time.Since(started).Seconds()
	record.Done = err == nil
	return errors.Join(err, s.save())
}

// worded words an error that the end of ctx may have caused.
func worded(ctx context.Context, err error, at string) error {
	if err != nil && (ctx.Err() != nil || errors.Is(err, lab.ErrInterrupted)) {
		return lab.Interruption(fmt.Sprintf("speedrun: interrupted in %s; nothing is lost, and the same command goes on from there", at))
	}
	return err
}

// duration is a time for people.
func duration(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	if d < 10*time.Second {
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}
