package runlog

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/gofrs/flock"
)

// LockFile is in the folder of a run. Whoever writes the run holds a lock on it, which the system takes back when the process
// ends, however it ends. The file stays: removing it could let two processes hold locks on different files.
const LockFile = "lock"

// Lock keeps other processes from writing a run.
type Lock struct{ file *flock.Flock }

// lockHolder is what the file says of the process that holds the lock.
type lockHolder struct {
	PID     int      `json:"pid"`
	Command []string `json:"command"`
}

// TakeLock takes the run in a folder for writing, or says who has it. command is what others are told.
func TakeLock(folder string, command []string) (*Lock, error) {
	name := filepath.Base(folder)
	if err := Writable(folder); err != nil {
		return nil, fmt.Errorf("lock run %s: %w; make it a folder that can be written", name, err)
	}
	lock := &Lock{flock.New(filepath.Join(folder, LockFile))}
	taken, err := lock.file.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock run %s: %w; the folder must be on a disk that can be written and locked", name, err)
	}
	if !taken {
		return nil, fmt.Errorf("lock run %s: it is being written by %s; wait for it, stop it, or choose another run", name, holder(folder))
	}
	if err := lock.sign(command); err != nil {
		lock.Release()
		return nil, fmt.Errorf("lock run %s: %w", name, err)
	}
	return lock, nil
}

// sign says in the file who holds the lock.
func (l *Lock) sign(command []string) error {
	text, err := json.Marshal(lockHolder{os.Getpid(), command})
	if err != nil {
		return err
	}
	return os.WriteFile(l.file.Path(), append(text, '\n'), 0o600)
}

// Release gives the run free. It may be called on nil.
func (l *Lock) Release() {
	if l != nil {
		l.file.Unlock()
	}
}

// WriterOf names the process that writes the run in a folder, in words; it is "" if none does.
func WriterOf(folder string) string {
	path := filepath.Join(folder, LockFile)
	if _, err := os.Stat(path); err != nil { // trying to lock it would make it
		return ""
	}
	lock := flock.New(path)
	taken, err := lock.TryLock()
	if taken {
		lock.Unlock()
	}
	if taken || err != nil {
		return ""
	}
	return holder(folder)
}

// holder names the process that signed a lock, in words.
func holder(folder string) string {
	var holder lockHolder
	text, err := os.ReadFile(filepath.Join(folder, LockFile))
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

// Writable makes a folder for a moment in the one given, or where that is not there yet in the nearest one above it:
// permissions alone do not tell whether a disk can be written.
func Writable(folder string) error {
	for {
		_, err := os.Lstat(folder)
		above := filepath.Dir(folder)
		if above == folder || !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) {
			break
		}
		folder = above
	}
	probe, err := os.MkdirTemp(folder, ".writable-*")
	if err == nil {
		err = os.Remove(probe)
	}
	var reason *fs.PathError
	if errors.As(err, &reason) {
		err = reason.Err // without the name of the probe
	}
	if err != nil {
		return fmt.Errorf("%s cannot be written: %w", folder, err)
	}
	return nil
}
