package lab

import (
	"encoding/json"
	"fmt"

	"tandem/models"
	"tandem/workbench/checkpoint"
	"tandem/workbench/runlog"
	"tandem/workbench/train"
)

// keepsModel refuses to resume a run as another model than run.json says, for that is what opens its checkpoints ever after.
// Weights alone do not tell: a softcap has none.
func keepsModel(run *Run, now models.Config) error {
	began, err := OpenRun(run.Folder)
	if err != nil {
		return err
	}
	was, is := began.Info.Config.Model.Derived(), now.Derived()
	for i := range min(len(was), len(is)) { // other kinds of block make another pattern, which comes first
		if key := was[i].Key; key != "mamba.lr" && was[i].Value != is[i].Value {
			return fmt.Errorf("resume %s: %s was %v and is now %v, so it is of another architecture; leave out --%s, or train a new run", run.Name, key, was[i].Value, is[i].Value, key)
		}
	}
	return nil
}

// resumeLoop restores a run's newest valid checkpoint: the trainer, the loop, and by restoreData the data position.
func resumeLoop(run *Run, loop *train.Loop, say func(string), restoreData func(json.RawMessage) error) error {
	snapshot, entry, skipped, err := checkpoint.Latest(run.Folder)
	for _, bad := range skipped {
		say("skipped checkpoint " + bad.String())
	}
	if err != nil {
		return err
	}
	var state train.LoopState
	if err := json.Unmarshal(snapshot.State, &state); err != nil {
		return fmt.Errorf("resume %s: state.json of %s: %w", run.Name, entry.Dir, err)
	}
	if err := loop.Trainer.Restore(snapshot); err != nil {
		return fmt.Errorf("resume %s: %w", run.Name, err)
	}
	if len(state.Data) > 0 {
		if err := restoreData(state.Data); err != nil {
			return fmt.Errorf("resume %s: %s: %w", run.Name, entry.Dir, err)
		}
	}
	if loop.Trainer.At() >= loop.Trainer.Options().Steps {
		return fmt.Errorf("resume %s: all %d steps are done; raise --steps to train on", run.Name, loop.Trainer.At())
	}
	loop.Resume(state)
	say(fmt.Sprintf("resuming %s after step %d", run.Name, entry.Step))
	return loop.Log.Write(runlog.Record{Kind: runlog.KindResume, Step: entry.Step})
}
