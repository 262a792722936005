package lab

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"tandem/workbench/data"
	"tandem/workbench/eval"
)

// The groups of tasks that a name may stand for.
const (
	TaskBits = "bpb"
	taskCore = "core"
	taskChat = "chat"
)

// chatTasks are asked in conversations.
var chatTasks = []string{eval.ARCEasy, eval.ARCChallenge, eval.MMLU, eval.GSM8K, eval.HumanEval}

// EvalTasks lists the names of tasks for messages.
func EvalTasks() string {
	return strings.Join(append([]string{TaskBits, taskCore, taskCore + "/LABEL", eval.GoDoc, taskChat}, chatTasks...), ", ")
}

// IsAsked says whether a task is put as questions, to a run that is tuned.
func IsAsked(task string) bool {
	name, _, _ := strings.Cut(task, "=")
	return name == taskChat || name == eval.GoDoc || slices.Contains(chatTasks, name)
}

func isCore(name string) bool { return name == taskCore || strings.HasPrefix(name, taskCore+"/") }

// RunsCode says whether a task runs code that the model writes.
func RunsCode(task string) bool {
	name, _, _ := strings.Cut(task, "=")
	return name == taskChat || name == eval.HumanEval
}

// CheckTask refuses what is no task, and one whose examples are neither in folder nor where it says. It does not look on the
// hub.
func CheckTask(ctx context.Context, task, folder string) error {
	if err := checkTask(task); err != nil {
		return err
	}
	name, spec, _ := strings.Cut(task, "=")
	e := &evaluation{options: EvalOptions{Data: folder}}
	switch {
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

// checkTask refuses what is no task, without looking for its examples.
func checkTask(entry string) error {
	name, spec, _ := strings.Cut(entry, "=")
	switch {
	case spec == "" && (name == TaskBits || name == taskChat || isCore(name)):
	case name == eval.GoDoc && (spec == "" || spec == data.QuestionsSpec || strings.HasPrefix(spec, data.QuestionsSpec+":")):
	case slices.Contains(chatTasks, name):
	default:
		return fmt.Errorf("unknown task %q; there are %s, and of the last five NAME=SPEC with a corpus, and %s=%s:PACKAGE", entry, EvalTasks(), eval.GoDoc, data.QuestionsSpec)
	}
	return nil
}
