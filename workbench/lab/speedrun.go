package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"tandem/workbench/chat"
	"tandem/workbench/config"
	"tandem/workbench/data"
	"tandem/workbench/eval"
	"tandem/workbench/train"
)

// SpeedrunStages are what a speedrun consists of, in their order.
var SpeedrunStages = []string{stageTokenizer, stageBase, stageSFT, stageEval, stageReport}

const (
	stageTokenizer = "tokenizer"
	stageBase      = "base"
	stageSFT       = "sft"
	stageEval      = "eval"
	stageReport    = "report"
)

// SpeedrunWish is what decides a speedrun's plan. Its zero value is a plan for this machine.
type SpeedrunWish struct {
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

// SpeedrunOptions are a wish and how to go about it.
type SpeedrunOptions struct {
	SpeedrunWish
	// Name is that of the speedrun's folder under runs/, or its path; its runs have the same with -base and -sft. "" is
	// speedrun-dN, N being the depth.
	Name string
	// Stages are those to do, of SpeedrunStages; none is all.
	Stages []string
	// Command is the command line, for run.json.
	Command []string
	// Planned is told the plan before anything is done, Say in words what is being done, Report what happens in training,
	// Count how many examples of a task are done. Any may be nil.
	Planned func(SpeedrunPlan)
	Say     func(string)
	Report  func(train.Event)
	Count   func(task string, done, all int)
}

// Speedrun makes a chat from nothing: a tokenizer, a base model, its tuning on conversations, evaluations and a report.
// Each stage is done once: called again with the same wish it skips what is finished and resumes what was interrupted,
// whatever ended the process. Another wish under the same name is an error. When ctx ends the error is ErrInterrupted.
func Speedrun(ctx context.Context, o SpeedrunOptions) (*SpeedrunReport, error) {
	o = o.resolved()
	if err := o.Validate(); err != nil {
		return nil, err
	}
	s, err := openSpeedrun(ctx, o)
	if err != nil {
		return nil, worded(ctx, err, "planning")
	}
	defer s.lock.release()
	for _, stage := range SpeedrunStages {
		if len(o.Stages) > 0 && !slices.Contains(o.Stages, stage) {
			continue
		}
		if err := s.do(ctx, stage); err != nil {
			return nil, worded(ctx, err, "stage "+stage)
		}
	}
	return s.report()
}

// PlanSpeedrun is the plan alone: that of a speedrun that has begun with this wish, or a new one. It writes nothing.
func PlanSpeedrun(ctx context.Context, o SpeedrunOptions) (SpeedrunPlan, error) {
	o = o.resolved()
	if err := o.Validate(); err != nil {
		return SpeedrunPlan{}, err
	}
	p, err := o.planner()
	if err != nil {
		return SpeedrunPlan{}, err
	}
	state, err := readSpeedrun(runFolder(p.plan.Name))
	switch {
	case err != nil:
		return SpeedrunPlan{}, err
	case state != nil && state.Hash != o.hash():
		return SpeedrunPlan{}, state.refuse(o.SpeedrunWish)
	case state != nil:
		return state.Plan, nil
	}
	plan, err := p.make(ctx)
	return plan, worded(ctx, err, "planning")
}

func (o SpeedrunOptions) resolved() SpeedrunOptions {
	if o.Planned == nil {
		o.Planned = func(SpeedrunPlan) {}
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
	o.Name = plain(o.Name)
	o.Overrides = slices.Sorted(slices.Values(o.Overrides))
	return o
}

// Validate reports the first thing that cannot be, before the machine is looked at.
func (o SpeedrunOptions) Validate() error {
	for _, stage := range o.Stages {
		if !slices.Contains(SpeedrunStages, stage) {
			return fmt.Errorf("speedrun: unknown stage %q; there are %s", stage, strings.Join(SpeedrunStages, ", "))
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
func (w SpeedrunWish) lookAhead(ctx context.Context) error {
	for _, task := range w.Tasks {
		if err := checkTask(task); err != nil {
			return fmt.Errorf("speedrun: tasks: %w", err)
		}
		if err := w.findExamples(ctx, task); err != nil {
			return fmt.Errorf("speedrun: tasks: %w", err)
		}
	}
	if _, err := os.Stat(w.TasksData); w.TasksData != "" && err != nil {
		return fmt.Errorf("speedrun: tasks_data %q: %w; give a folder that holds NAME.jsonl of each task", w.TasksData, err)
	}
	if w.Conversations == "" {
		return nil
	}
	if err := findConversations(ctx, w.Conversations); err != nil {
		return fmt.Errorf("speedrun: %w", err)
	}
	return nil
}

// findExamples refuses a task whose examples are not there, or one that runs generated code.
func (w SpeedrunWish) findExamples(ctx context.Context, task string) error {
	name, spec, _ := strings.Cut(task, "=")
	e := &evaluation{options: EvalOptions{Data: w.TasksData}}
	switch {
	case name == taskChat, name == eval.HumanEval:
		return fmt.Errorf("%s runs code that the model writes, and a speedrun never does; leave it out, and ask for it afterwards with: workbench eval --tasks %s --run-code", task, task)
	case isCore(name):
		if _, err := e.bundle(); err != nil {
			return fmt.Errorf("%s needs its bundle; give tasks_data, a folder that holds core.yaml, eval_bundle or eval_bundle.zip", task)
		}
	case spec != "" && slices.Contains(chatTasks, name) && !onHub(spec):
		for _, err := range data.Rows(ctx, spec, data.Options{}) {
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			break
		}
	case spec == "" && slices.Contains(chatTasks, name):
		if _, err := e.file(name); err != nil {
			return fmt.Errorf("%s needs examples; give tasks_data, a folder that holds %s.jsonl, or a corpus as %s=SPEC", task, name, name)
		}
	}
	return nil
}

// onHub says whether a corpus is on the hub, where looking takes long.
func onHub(spec string) bool { return strings.Contains(spec, "hf:") || data.FindPreset(spec) != nil }

// findConversations reads the first conversation of each part of spec that is on this machine.
func findConversations(ctx context.Context, spec string) error {
	for _, part := range strings.Split(spec, ",") {
		part = strings.TrimSpace(part)
		if onHub(part) {
			continue
		}
		found := false
		for _, err := range examplesOf(ctx, part, func(string) {}) {
			if refused := new(chat.Refused); err != nil && !errors.As(err, &refused) {
				return err
			}
			found = true
			break
		}
		if !found {
			return fmt.Errorf("conversations %s: there is no conversation in it; give others", part)
		}
	}
	return nil
}

// given are the keys that take the place of what would be derived. A zero stands for the default, but where it means none.
func (w SpeedrunWish) given() map[string]bool {
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
	for _, later := range SpeedrunStages[slices.Index(SpeedrunStages, stage):] {
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
	if err != nil && (ctx.Err() != nil || errors.Is(err, ErrInterrupted)) {
		return interruption(fmt.Sprintf("speedrun: interrupted in %s; nothing is lost, and the same command goes on from there", at))
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
