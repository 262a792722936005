package lab

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"tandem/workbench/eval"
	"tandem/workbench/runlog"
	"tandem/workbench/train"
)

// planScores prepares the tasks that are run in training, so that a name that does not exist is said at once.
func (t *tuning) planScores(ctx context.Context) (err error) {
	o := t.options.Tasks
	if len(o.Tasks) == 0 {
		return nil
	}
	if slices.Contains(o.Tasks, TaskBits) {
		return errors.New("tasks: bpb is measured on text; bits per byte of the assistant's text are measured anyway, so leave it out")
	}
	if o.Limit < 0 {
		return fmt.Errorf("tasks: a limit of %d examples: may not be negative; 0 is all", o.Limit)
	}
	o.Say, o.Count = t.options.Say, func(string, int, int) {}
	if err := o.Answers.Validate(); err != nil {
		return fmt.Errorf("tasks: %w", err)
	}
	asked := &Run{Name: t.config.Name, Info: Info{Config: t.config, Conversations: &t.conversations.Conversations}}
	t.evaluation = &evaluation{run: asked, options: o, model: t.model, tok: t.tokenizer, device: t.device}
	if t.tasks, err = t.evaluation.plan(ctx); err != nil {
		return fmt.Errorf("tasks: %w", err)
	}
	return nil
}

// scores runs the tasks on the weights in training. A task that fails is said and does not end the training.
func (t *tuning) scores(ctx context.Context) error {
	model, err := t.current()
	if err != nil {
		return err
	}
	e := t.evaluation
	e.weights, e.engine = t.trainer.Weights(), model.Engine
	e.scorer = eval.NewScorer(e.device, e.model, e.weights, eval.ScorerOptions{})
	defer e.scorer.Close()
	values := map[string]float64{}
	var words []string
	for _, task := range t.tasks {
		result, err := task.run(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			t.options.Say("failed: " + task.named(err))
			continue
		}
		values[task.name] = result.Value
		words = append(words, fmt.Sprintf("%s %.4g", task.name, result.Value))
	}
	if len(values) == 0 {
		return nil
	}
	at := t.trainer.At()
	if t.options.Report != nil {
		t.options.Report(train.Event{Kind: runlog.KindEvent, Step: at, Steps: t.trainer.Options().Steps,
			Text: fmt.Sprintf("step %d: %s", at, strings.Join(words, ", "))})
	}
	return t.log.Write(runlog.Record{Kind: runlog.KindEval, Step: at, Values: values})
}
