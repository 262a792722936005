package sandbox

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Limits bound one program. Zero values mean the default.
type Limits struct {
	// Time is how long it may run; 0 is 5 s. Each of its processes may also use the processor for as long.
	Time time.Duration
	// Memory is the address space of each of its processes in bytes; 0 is 512 MiB.
	Memory int64
	// Processes is how many it may have at once, threads included; 0 is 8.
	Processes int
	// Files is the size of what it may write, in bytes; 0 is 16 MiB.
	Files int64
	// Output is the bytes of standard output, and of standard error, that are kept; 0 is 64 KiB.
	Output int
}

func (l Limits) resolved() Limits {
	if l.Time == 0 {
		l.Time = 5 * time.Second
	}
	if l.Memory == 0 {
		l.Memory = 512 << 20
	}
	if l.Processes == 0 {
		l.Processes = 8
	}
	if l.Files == 0 {
		l.Files = 16 << 20
	}
	if l.Output == 0 {
		l.Output = 64 << 10
	}
	return l
}

// Result is what became of a program.
type Result struct {
	// Exit is its exit code; -1 if it was killed.
	Exit int
	// Killed says what killed it, such as "time" or "signal: killed"; "" if it ended by itself.
	Killed string
	// Stdout and Stderr are the beginnings of its outputs, Cut says that there was more.
	Stdout, Stderr string
	Cut            bool
	Time           time.Duration
}

// LastLine is the last line of standard error that is not empty: in Python, the exception.
func (r Result) LastLine() string {
	lines := strings.Split(strings.TrimSpace(r.Stderr), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}

// Sandbox runs programs; it may run several at once.
type Sandbox struct {
	limits Limits
	// bare says why there are no namespaces; "" if there are.
	bare string
}

// ErrUnsupported is wrapped by New's error where programs cannot be bounded.
var ErrUnsupported = errors.New("generated code cannot be run here")

// Limits are the resolved limits.
func (s *Sandbox) Limits() Limits { return s.limits }

// Protection says in one line what a program cannot do, and what it can.
func (s *Sandbox) Protection() string {
	l := s.limits
	common := fmt.Sprintf("own process, no environment, at most %s, %d MiB of memory a process, %d processes, %d MiB of files",
		l.Time, l.Memory>>20, l.Processes, l.Files>>20)
	if s.bare != "" {
		return common + "; no namespaces (" + s.bare + "), so network and the user's files are within its reach"
	}
	return common + "; own namespaces: no network, files read-only, homes and /proc hidden; no protection from faults of the kernel"
}

// Python finds an interpreter that works inside the sandbox.
func (s *Sandbox) Python(ctx context.Context) (string, error) {
	var problems []string
	for _, path := range interpreters() {
		result, err := s.Run(ctx, pythonCommand(path), "print(6*7)")
		if err != nil {
			return "", err
		}
		if result.Stdout == "42\n" {
			return path, nil
		}
		problems = append(problems, fmt.Sprintf("%s: %s %s", path, result.Killed, result.LastLine()))
	}
	if len(problems) == 0 {
		return "", fmt.Errorf("%w: there is no python3; install it", ErrUnsupported)
	}
	return "", fmt.Errorf("%w: no python3 works inside the sandbox (%s); install one in /usr/bin", ErrUnsupported, strings.Join(problems, "; "))
}

// RunPython runs a program with an interpreter that Python found: isolated, without site packages.
func (s *Sandbox) RunPython(ctx context.Context, interpreter, program string) (Result, error) {
	return s.Run(ctx, pythonCommand(interpreter), program)
}

func pythonCommand(path string) []string { return []string{path, "-I", "-S", "-B", "-"} }

// bounded keeps the beginning of what is written to it.
type bounded struct {
	kept  []byte
	limit int
	cut   bool
}

func (b *bounded) Write(piece []byte) (int, error) {
	room := min(len(piece), b.limit-len(b.kept))
	b.kept = append(b.kept, piece[:room]...)
	b.cut = b.cut || room < len(piece)
	return len(piece), nil
}

func (b *bounded) text() string { return strings.ToValidUTF8(string(b.kept), "\uFFFD") }
