package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"tandem/workbench/data"
	"tandem/workbench/eval"
)

// evalTask is one line of the report to be.
type evalTask struct {
	name string
	run  func(ctx context.Context) (eval.Result, error)
}

// named begins an error with the task's name, once.
func (t evalTask) named(err error) string {
	return t.name + ": " + strings.TrimPrefix(err.Error(), t.name+": ")
}

// plan lists what to run: what was asked for, or bits per byte and all that there is data for.
func (e *evaluation) plan(ctx context.Context) (tasks []evalTask, err error) {
	asked := e.options.Tasks
	if len(asked) == 0 {
		if asked = e.found(); len(asked) == 0 {
			return nil, errors.New("there is nothing to measure: it was tuned to answer, so say what text bits per byte are measured on, with --corpus, or name --tasks, or a folder with their files as --data")
		}
	}
	for _, entry := range asked {
		if err := checkTaskName(entry); err != nil {
			return nil, err
		}
		name, spec, _ := strings.Cut(entry, "=")
		var added []evalTask
		switch {
		case name == TaskBits:
			added = []evalTask{e.bits(data.Train), e.bits(data.Validation)}
		case isCore(name):
			added, err = e.core(ctx, strings.TrimPrefix(strings.TrimPrefix(name, taskCore), "/"))
		case name == eval.GoDoc:
			added = []evalTask{e.godoc(data.Train, spec), e.godoc(data.Validation, spec)}
		case name == taskChat:
			for _, one := range chatTasks {
				added = append(added, e.conversation(one, ""))
			}
		default:
			added = []evalTask{e.conversation(name, spec)}
		}
		if err != nil {
			return nil, err
		}
		tasks = append(tasks, added...)
	}
	return tasks, nil
}

// found lists the tasks that need nothing more, and says what else there is.
func (e *evaluation) found() []string {
	o := e.options
	var found []string
	if !e.run.Tuned() || o.Corpus != "" {
		found = append(found, TaskBits)
	}
	if _, err := e.bundle(); err == nil {
		found = append(found, taskCore)
	}
	for _, name := range chatTasks {
		switch _, err := e.file(name); {
		case err != nil:
		case name == eval.HumanEval && !o.RunCode:
			o.Say(name + " is left out: " + eval.ErrCodeOff.Error())
		default:
			found = append(found, name)
		}
	}
	return found
}

// bits measures bits per byte of a split, on the batches that the training's own evaluation takes, or as many as asked for.
func (e *evaluation) bits(split data.Split) evalTask {
	name := TaskBits + "/" + string(split)
	return evalTask{name, func(ctx context.Context) (eval.Result, error) {
		o, train := e.options, e.run.Info.Config.Train.Resolved()
		if err := e.openCorpus(ctx); err != nil {
			return eval.Result{}, err
		}
		perBatch := train.Batch * e.model.Config.Context
		limit := train.EvalBatches
		if o.Tokens > 0 {
			limit = max(1, o.Tokens/perBatch)
		}
		batches, err := data.NewBatches(e.corpus.shards, data.BatchOptions{
			Split: split, Batch: train.Batch, Time: e.model.Config.Context, Loop: e.corpus.shards.Tokens(split) > int64(limit*perBatch),
		})
		if err != nil {
			return eval.Result{}, err
		}
		return eval.RunBits(ctx, e.device, e.model, e.weights, eval.BitsOptions{
			Task: name, Batches: batches, Limit: limit, ByteLengths: e.tok.ByteLengths(), Report: e.count(name),
		})
	}}
}

// openCorpus opens what bits per byte are measured on, once.
func (e *evaluation) openCorpus(ctx context.Context) (err error) {
	spec := e.options.Corpus
	if spec == "" {
		if spec = e.run.Info.Config.Data; e.run.Tuned() {
			return fmt.Errorf("%s was tuned to answer; say what text to measure on, with --corpus", e.run.Name)
		}
	}
	if e.corpus == nil {
		e.corpus, err = prepare(ctx, spec, e.tok.VocabSize(), e.tok, e.options.Say)
	}
	return err
}

// core lists the bundle's tasks, or the one with a label.
func (e *evaluation) core(ctx context.Context, label string) (tasks []evalTask, err error) {
	source, err := e.bundle()
	if err != nil {
		return nil, err
	}
	cache, err := cacheFolder()
	if err != nil {
		return nil, err
	}
	folder, err := eval.FetchBundle(ctx, source, filepath.Join(cache, "eval"), e.options.Say)
	if err != nil {
		return nil, err
	}
	bundle, err := eval.OpenBundle(folder)
	if err != nil {
		return nil, err
	}
	for i, known := range bundle.Tasks() {
		if label != "" && label != known {
			continue
		}
		name := taskCore + "/" + known
		tasks = append(tasks, evalTask{name, func(ctx context.Context) (eval.Result, error) {
			return bundle.Run(ctx, i, e.scorer, e.tok, e.options.Limit, e.count(name))
		}})
	}
	if len(tasks) == 0 {
		return nil, fmt.Errorf("the bundle has no task %q; it has %s", label, strings.Join(bundle.Tasks(), ", "))
	}
	return tasks, nil
}

// bundle finds CORE: what was named, or what the data folder holds.
func (e *evaluation) bundle() (string, error) {
	o := e.options
	if o.Bundle != "" {
		return o.Bundle, nil
	}
	if o.Data == "" {
		return "", errors.New("core needs its bundle; name its folder, .zip or address with --core (" + eval.BundleAddress + " is nanochat's, 162 MB), or a folder that holds it with --data")
	}
	for _, name := range []string{"core.yaml", "eval_bundle", "eval_bundle.zip"} {
		path := filepath.Join(o.Data, name)
		if _, err := os.Stat(path); err == nil && name == "core.yaml" {
			return o.Data, nil
		} else if err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("core needs its bundle, and %s holds neither core.yaml nor eval_bundle nor eval_bundle.zip; name it with --core", o.Data)
}

// conversation runs a task that is asked in conversations.
func (e *evaluation) conversation(name, spec string) evalTask {
	return evalTask{name, func(ctx context.Context) (result eval.Result, err error) {
		o, note := e.options, ""
		var run eval.Runner
		if name == eval.HumanEval {
			if run, note, err = e.runner(ctx); err != nil {
				return result, err
			}
		}
		rows, err := e.rows(ctx, name, spec)
		if err != nil {
			return result, err
		}
		if name != eval.GSM8K && name != eval.HumanEval {
			template, err := e.template()
			if err != nil {
				return result, err
			}
			return eval.RunChoices(ctx, name, rows, e.scorer, template, o.Limit, e.count(name))
		}
		answer, answers, err := e.answerer()
		if err != nil {
			return result, err
		}
		if name == eval.GSM8K {
			return eval.RunGSM8K(ctx, rows, answer, answers, o.Limit, e.count(name))
		}
		result, err = eval.RunHumanEval(ctx, rows, answer, run, answers, o.Limit, e.count(name))
		result.Note = note
		return result, err
	}}
}

// godoc asks what symbols are and how they are declared: those that a tuning on godoc-chat learns, or those that it holds out. Of
// the first it asks as many as of the second.
func (e *evaluation) godoc(split data.Split, spec string) evalTask {
	name := eval.GoDoc + "/" + string(split)
	return evalTask{name, func(ctx context.Context) (result eval.Result, err error) {
		if spec == "" {
			spec = data.QuestionsSpec
		}
		found := map[data.Split][]data.Question{}
		for q, err := range data.Questions(spec) {
			if err != nil {
				return result, err
			}
			side := data.SplitOf(q.Symbol)
			if !strings.Contains(q.Answer, "\n\n") { // all that the documentation says may take pages
				found[side] = append(found[side], q)
			}
		}
		answer, answers, err := e.answerer()
		if err != nil {
			return result, err
		}
		limit := len(found[data.Validation])
		if e.options.Limit > 0 {
			limit = min(limit, e.options.Limit)
		}
		return eval.RunGoDoc(ctx, name, found[split], answer, answers, max(1, limit), e.count(name))
	}}
}

// rows are those of a corpus, or of the task's file in the data folder.
func (e *evaluation) rows(ctx context.Context, name, spec string) (eval.Rows, error) {
	if spec != "" {
		return eval.NumberedRows(name, data.Rows(ctx, spec, data.Options{Say: e.options.Say, Progress: downloads(e.options.Say)})), nil
	}
	path, err := e.file(name)
	if err != nil {
		return nil, err
	}
	return eval.ReadRows(path, filepath.Base(path)), nil
}

// file finds a task's file: NAME.jsonl or NAME.jsonl.gz, or in the folder NAME test.jsonl, test.jsonl.gz or the only such one.
func (e *evaluation) file(name string) (string, error) {
	folder := e.options.Data
	if folder == "" {
		return "", fmt.Errorf("it needs examples; name a folder that holds %s.jsonl with --data (in sft --tasks_data), or a corpus as %s=SPEC", name, name)
	}
	if _, err := os.Stat(folder); errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("there is no folder %s; give one that holds %s.jsonl", folder, name)
	}
	for _, path := range []string{name + ".jsonl", name + ".jsonl.gz", name + "/test.jsonl", name + "/test.jsonl.gz"} {
		path = filepath.Join(folder, filepath.FromSlash(path))
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	only, err := filepath.Glob(filepath.Join(folder, name, "*.jsonl*"))
	if err != nil || len(only) != 1 {
		return "", fmt.Errorf("%s holds no %s.jsonl or %s.jsonl.gz, and no folder %s with a test.jsonl or one file alone", folder, name, name, name)
	}
	return only[0], nil
}

func (e *evaluation) count(task string) func(done, all int) {
	return func(done, all int) { e.options.Count(task, done, all) }
}
