package lab

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/gomlx/gomlx/core/tensors"

	"tandem/models"
	"tandem/workbench/chat"
	"tandem/workbench/eval"
	"tandem/workbench/eval/sandbox"
	"tandem/workbench/generate"
	"tandem/workbench/tokenizer"
	"tandem/xla"
)

// The words of an evaluation.
type (
	EvalReport  = eval.Report
	EvalAnswers = eval.AnswerOptions
	EvalResult  = eval.Result
)

// The columns of an evaluation's tables.
var (
	EvalHeading       = eval.Heading
	EvalCompareHeader = eval.ComparisonHeading
)

// EvalOptions say what to evaluate.
type EvalOptions struct {
	// Tasks by name, as EvalTasks lists them; NAME=SPEC takes a task's rows from a corpus that data.Open knows, on the hub for
	// example. None is bits per byte and all that Data holds.
	Tasks []string
	// Data is a folder with the tasks' files, Bundle CORE's folder, .zip or address; "" is the one in Data.
	Data, Bundle string
	// Corpus is what bits per byte are measured on; "" is the run's own.
	Corpus string
	// Limit is the examples of a task at most; 0 is all.
	Limit int
	// Tokens is how many bits per byte are measured on; 0 is as many as the training's own evaluation.
	Tokens int
	// RunCode allows generated programs to be run, in the sandbox.
	RunCode bool
	// Answers says how questions are answered.
	Answers EvalAnswers
	// Compare is a run to compare with, by its newest report.
	Compare *Run
	// Say is told in words what is done, Count how many examples of a task are. Either may be nil.
	Say   func(string)
	Count func(task string, done, all int)
}

// evaluation is what one evaluation holds open.
type evaluation struct {
	run     *Run
	options EvalOptions
	model   *models.Model
	tok     *tokenizer.Tokenizer
	device  *xla.Device
	weights []*tensors.Tensor
	scorer  *eval.Scorer
	corpus  *prepared
	engine  *generate.Engine
	report  *eval.Report
	folder  string
}

// Evaluate runs tasks on a run's newest checkpoint. After each task the report in RUN/eval/STEP is written anew; results of
// earlier evaluations of that checkpoint stay in it. A task that fails does not keep others from being run: the report says
// why, and so does the error. If ctx ends, what is finished is kept, and the error is ErrInterrupted.
func Evaluate(ctx context.Context, run *Run, backend string, o EvalOptions) (*EvalReport, error) {
	if o.Say == nil {
		o.Say = func(string) {}
	}
	if o.Count == nil {
		o.Count = func(string, int, int) {}
	}
	if err := o.Answers.Validate(); err != nil {
		return nil, fmt.Errorf("evaluate %s: %w", run.Name, err)
	}
	var other *eval.Report
	if o.Compare != nil {
		var err error
		if other, err = newestReport(o.Compare); err != nil {
			return nil, err
		}
	}
	e := &evaluation{run: run, options: o}
	tasks, err := e.plan(ctx)
	if err != nil {
		return nil, fmt.Errorf("evaluate %s: %w", run.Name, err)
	}
	defer e.close()
	if err := e.open(backend); err != nil {
		return nil, fmt.Errorf("evaluate %s: %w", run.Name, err)
	}
	return e.report, e.runAll(ctx, tasks, other)
}

// open loads the checkpoint, and the report on it if there is one.
func (e *evaluation) open(backend string) (err error) {
	if e.tok, err = e.run.Tokenizer(); err != nil {
		return err
	}
	if e.model, err = e.run.Model(); err != nil {
		return err
	}
	if e.device, err = xla.Open(backend); err != nil {
		return err
	}
	e.options.Say(e.device.Summary())
	weights, entry, skipped, err := newestWeights(e.run, e.model, e.device)
	for _, bad := range skipped {
		e.options.Say("skipped checkpoint " + bad.String())
	}
	if err != nil {
		return err
	}
	e.weights = weights
	e.scorer = eval.NewScorer(e.device, e.model, weights, eval.ScorerOptions{})
	e.folder = filepath.Join(e.run.Folder, EvalFolder, filepath.Base(entry.Dir))
	if e.report, err = eval.OpenReport(e.folder); errors.Is(err, eval.ErrNoReport) {
		e.report, err = &eval.Report{}, nil
	}
	if err != nil {
		return err
	}
	r := e.report
	r.Run, r.Step, r.Pattern, r.Parameters = e.run.Name, entry.Step, e.model.Config.Pattern.String(), e.model.Parameters()
	r.Backend, r.Compute, r.Comparison = e.device.Kind, strings.ToLower(e.device.Compute.String()), nil
	return nil
}

// runAll runs the tasks, and saves the report after each.
func (e *evaluation) runAll(ctx context.Context, tasks []evalTask, other *eval.Report) error {
	var failed []string
	for _, task := range tasks {
		result, err := task.run(ctx)
		if ctx.Err() != nil {
			return Interruption(fmt.Sprintf("evaluate %s: interrupted; the tasks that were finished are in %s", e.run.Name, e.folder))
		}
		if err != nil {
			e.options.Say("failed: " + task.named(err))
			failed = append(failed, task.named(err))
			result = eval.Failed(task.name, err)
		}
		e.report.Add(result)
		e.report.Summarise()
		if err := e.report.Save(e.folder); err != nil {
			return err
		}
	}
	if other != nil {
		e.report.Comparison = eval.Compare(e.report, other)
		if err := e.report.Save(e.folder); err != nil {
			return err
		}
	}
	e.options.Say("report in " + filepath.Join(e.folder, "report.md"))
	if len(failed) > 0 {
		return fmt.Errorf("evaluate %s: %d of %d tasks failed: %s", e.run.Name, len(failed), len(tasks), failed[0])
	}
	return nil
}

// template is the one of conversations, for tokenizers that have its tokens.
func (e *evaluation) template() (*chat.Template, error) { return chat.NewTemplate(e.tok) }

// answerer starts an engine when it is first needed.
func (e *evaluation) answerer() (eval.Answerer, eval.AnswerOptions, error) {
	o := e.options.Answers
	if _, err := e.template(); err != nil { // before an engine is started for nothing
		return nil, o, err
	}
	if e.engine == nil {
		engine, err := generate.New(e.device, e.model, e.weights, generate.Options{})
		if err != nil {
			return nil, o, err
		}
		e.engine = engine
	}
	model, err := chat.NewModel(chat.Over(e.engine), e.tok)
	if err != nil {
		return nil, o, err
	}
	o.AtOnce = e.engine.Options().Rows
	return eval.Answers(model, o), o, nil
}

// runner makes the sandbox, if it is allowed.
func (e *evaluation) runner(ctx context.Context) (eval.Runner, string, error) {
	if !e.options.RunCode {
		return nil, "", eval.ErrCodeOff
	}
	box, err := sandbox.New(sandbox.Limits{})
	if err != nil {
		return nil, "", err
	}
	python, err := box.Python(ctx)
	if err != nil {
		return nil, "", err
	}
	e.options.Say("sandbox: " + box.Protection())
	free := make(chan struct{}, runtime.GOMAXPROCS(0)) // more at once would only run into the limit on time
	return func(ctx context.Context, program string) (sandbox.Result, error) {
		free <- struct{}{}
		defer func() { <-free }()
		return box.RunPython(ctx, python, program)
	}, box.Protection(), nil
}

func (e *evaluation) close() {
	if e.engine != nil {
		e.engine.Close()
	}
	if e.scorer != nil {
		e.scorer.Close()
	}
	if e.corpus != nil {
		e.corpus.shards.Close()
	}
	if e.device != nil {
		e.device.Finalize()
	}
}
