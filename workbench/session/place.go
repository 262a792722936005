package session

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// place is the folder of a session, .session in the runs folder: its socket, lock, log and last state.
type place string

const (
	socketFile = "socket"
	serveLock  = "lock"
	logFile    = "log"
	stateFile  = "session.json"
)

// placeIn is the session's folder for a runs folder.
func placeIn(runs string) (place, error) {
	path, err := filepath.Abs(runs)
	if err != nil {
		return "", fmt.Errorf("find the folder of runs %q: %w", runs, err)
	}
	return place(filepath.Join(path, ".session")), nil
}

func (p place) file(name string) string { return filepath.Join(string(p), name) }

// runs is the runs folder.
func (p place) runs() string { return filepath.Dir(string(p)) }

// make makes the folder, for this user alone.
func (p place) make() error {
	err := os.MkdirAll(string(p), 0o700)
	if err == nil {
		err = os.Chmod(string(p), 0o700) // it may have been there
	}
	if err != nil {
		return fmt.Errorf("make the session's folder: %w; it must be on a disk that you can write", err)
	}
	return nil
}

// maxSocketPath is the bytes of a socket's path at most: 108 on Linux, 104 on macOS, each with a zero at the end.
const maxSocketPath = 103

// reach calls use with a path of the socket that is short enough for the system: as it is, relative to the working
// directory, or through a link in the folder of temporary files.
func (p place) reach(use func(path string) error) error {
	path := p.file(socketFile)
	if len(path) <= maxSocketPath {
		return use(path)
	}
	if here, err := os.Getwd(); err == nil {
		if relative, err := filepath.Rel(here, path); err == nil && len(relative) <= maxSocketPath {
			return use(relative)
		}
	}
	folder, err := os.MkdirTemp("", "tandem")
	if err != nil {
		return fmt.Errorf("the path of the socket is too long for this system, and a link to it cannot be made: %w", err)
	}
	defer os.RemoveAll(folder)
	link := filepath.Join(folder, "s")
	if err := os.Symlink(string(p), link); err != nil {
		return fmt.Errorf("the path of the socket is too long for this system, and a link to it cannot be made: %w", err)
	}
	return use(filepath.Join(link, socketFile))
}

// state is what a session says of itself, for the time when it can no longer be asked.
type state struct {
	Process
	// LogBegin is where in the log this session begins.
	LogBegin int64 `json:"log_begin"`
	// Trainings are the runs that it trains.
	Trainings []string `json:"trainings"`
	// Ended and Reason are set when it ends by itself.
	Ended  time.Time `json:"ended,omitzero"`
	Reason string    `json:"reason,omitempty"`
}

func (p place) writeState(s state) error {
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	temporary := p.file(stateFile + ".tmp")
	if err := os.WriteFile(temporary, append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("write the session's state: %w", err)
	}
	return os.Rename(temporary, p.file(stateFile))
}

func (p place) readState() (s state, err error) {
	text, err := os.ReadFile(p.file(stateFile))
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	return s, err
}

// death says, of a session that is gone, how it ended if not by itself, and what became of its trainings; "" if there is
// nothing to say.
func (p place) death() string {
	last, err := p.readState()
	if errors.Is(err, fs.ErrNotExist) || (err == nil && !last.Ended.IsZero()) {
		return ""
	}
	if err != nil {
		return fmt.Sprintf("%s cannot be read (%v), so how the last session ended is not known", p.file(stateFile), err)
	}
	text := fmt.Sprintf("the session of %s (process %d) died: %s; its loaded models and conversations are gone",
		last.Started.Local().Format("2006-01-02 15:04:05"), last.PID, p.cause(last))
	if len(last.Trainings) > 0 {
		text += fmt.Sprintf("; it was training %s, which --resume continues from the last checkpoint", strings.Join(last.Trainings, ", "))
	}
	return text
}

// cause is why a session died, from its log.
func (p place) cause(last state) string {
	lines := p.logLines(last.LogBegin)
	for _, line := range lines {
		for _, sign := range []string{"panic: ", "fatal error: ", "unexpected fault address", "SIGSEGV", "SIGABRT", "SIGBUS"} {
			if strings.HasPrefix(line, sign) {
				return line + " (see " + last.Log + ")"
			}
		}
	}
	return "it was killed, perhaps for want of memory, or the machine was restarted"
}

// maxLog is the bytes of the log that are looked at, and beyond which a new session begins it anew.
const maxLog = 4 << 20

// logLines are the last lines of the log that begin behind a position.
func (p place) logLines(begin int64) []string {
	file, err := os.Open(p.file(logFile))
	if err != nil {
		return nil
	}
	defer file.Close()
	size := p.logSize()
	begin = min(max(begin, size-maxLog), size)
	text := make([]byte, size-begin)
	n, _ := file.ReadAt(text, begin)
	return strings.Split(strings.TrimRight(string(text[:n]), "\n"), "\n")
}

func (p place) logSize() int64 {
	info, err := os.Stat(p.file(logFile))
	if err != nil {
		return 0
	}
	return info.Size()
}

// logTail is the end of the log in one line, for errors.
func (p place) logTail(begin int64) string {
	lines := p.logLines(begin)
	tail := strings.TrimSpace(strings.Join(lines[max(0, len(lines)-5):], " | "))
	if tail == "" {
		return "its log " + p.file(logFile) + " says nothing"
	}
	return "its log " + p.file(logFile) + " ends: " + tail
}
