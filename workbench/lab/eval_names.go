package lab

import (
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

// checkTaskName refuses what is no task, without looking for its examples.
func checkTaskName(entry string) error {
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
