package lab

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/gofrs/flock"
)

// lockFile is in the folder of a run. Whoever trains the run holds a lock on it, which the system takes back when the
// process ends, however it ends. The file stays: removing it could let two processes hold locks on different files.
const lockFile = "lock"

// runLock keeps other processes from writing a run.
type runLock struct{ *flock.Flock }

// lockHolder is what the file says of the process that holds the lock.
type lockHolder struct {
	PID     int      `json:"pid"`
	Command []string `json:"command"`
}

// lockRun takes a run for writing, or says who has it.
func lockRun(run *Run, command []string) (*runLock, error) {
	if err := writable(run.Folder); err != nil {
		return nil, fmt.Errorf("lock run %s: %w; make it a folder that can be written", run.Name, err)
	}
	path := filepath.Join(run.Folder, lockFile)
	lock := &runLock{flock.New(path)}
	taken, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock run %s: %w; the folder must be on a disk that can be written and locked", run.Name, err)
	}
	if !taken {
		return nil, fmt.Errorf("train %s: it is being written by %s; wait for it, stop it, or train another run", run.Name, holderOf(path))
	}
	if err := lock.sign(command); err != nil {
		lock.release()
		return nil, fmt.Errorf("lock run %s: %w", run.Name, err)
	}
	return lock, nil
}

// sign says in the file who holds the lock.
func (l *runLock) sign(command []string) error {
	text, err := json.Marshal(lockHolder{os.Getpid(), command})
	if err != nil {
		return err
	}
	return os.WriteFile(l.Path(), append(text, '\n'), 0o600)
}

// holderOf names the process that holds a lock, in words.
func holderOf(path string) string {
	var holder lockHolder
	text, err := os.ReadFile(path)
	if err != nil || json.Unmarshal(text, &holder) != nil || holder.PID == 0 {
		return "another process"
	}
	if holder.PID == os.Getpid() {
		return "this process"
	}
	if len(holder.Command) == 0 {
		return fmt.Sprintf("process %d", holder.PID)
	}
	return fmt.Sprintf("process %d (%s)", holder.PID, strings.Join(append([]string{filepath.Base(holder.Command[0])}, holder.Command[1:]...), " "))
}

// release gives the run free. It may be called on nil.
func (l *runLock) release() {
	if l != nil {
		l.Unlock()
	}
}

// heldLock says whether a process holds the lock of that path.
func heldLock(path string) bool {
	lock := flock.New(path)
	taken, err := lock.TryLock()
	if taken {
		lock.Unlock()
	}
	return err == nil && !taken
}
