package lab

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"tandem/workbench/chat"
	"tandem/workbench/data"
	"tandem/workbench/eval"
)

// What can be refused before long work that would need it only at its end.

// RunsCode says whether a task runs code that the model writes.
func RunsCode(task string) bool {
	name, _, _ := strings.Cut(task, "=")
	return name == taskChat || name == eval.HumanEval
}

// CheckTask refuses what is no task, and one whose examples are neither in folder nor where it says. It does not look on the
// hub.
func CheckTask(ctx context.Context, task, folder string) error {
	if err := checkTaskName(task); err != nil {
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

// CheckConversations reads the first conversation of each part of spec that is on this machine.
func CheckConversations(ctx context.Context, spec string) error {
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
