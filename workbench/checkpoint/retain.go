package checkpoint

import "fmt"

// Retain deletes the oldest valid checkpoints of run beyond the newest keep, and returns their folders. It deletes
// nothing before it has read and verified the newest one in full; keep <= 0 keeps all. Broken checkpoints are neither
// counted nor deleted: they are the user's to look at.
func Retain(run string, keep int) (removed []string, err error) {
	if keep <= 0 {
		return nil, nil
	}
	valid, _, err := List(run)
	if err != nil {
		return nil, err
	}
	if len(valid) <= keep {
		return nil, nil
	}
	if err := Verify(valid[0].Dir); err != nil {
		return nil, fmt.Errorf("delete old checkpoints in %s: kept all, the newest is damaged: %w", run, err)
	}
	for i := len(valid) - 1; i >= keep; i-- {
		if err := discard(run, valid[i].Dir); err != nil {
			return removed, fmt.Errorf("delete old checkpoint %s: %w", valid[i].Dir, err)
		}
		removed = append(removed, valid[i].Dir)
	}
	return removed, syncDir(run)
}
