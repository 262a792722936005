package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// nobody is the user that root's programs run as: the kernel does not limit the processes of root itself.
const nobody = 65534

// New makes a sandbox, and finds out whether the kernel allows namespaces. Root needs them.
func New(limits Limits) (*Sandbox, error) {
	s := &Sandbox{limits: limits.resolved()}
	result, err := s.Run(context.Background(), []string{"/bin/true"}, "")
	if err == nil && result.Exit == 0 {
		return s, nil
	}
	s.bare = "the kernel refuses them"
	if err != nil {
		s.bare = rootCause(err)
	} else if line := result.LastLine(); line != "" {
		s.bare = line
	}
	if os.Geteuid() == 0 {
		return nil, fmt.Errorf("%w: root's programs cannot be bounded without namespaces (%s); run as another user", ErrUnsupported, s.bare)
	}
	if result, err = s.Run(context.Background(), []string{"/bin/true"}, ""); err != nil || result.Exit != 0 {
		return nil, fmt.Errorf("%w: /bin/true fails in the sandbox: %v %s", ErrUnsupported, err, result.LastLine())
	}
	return s, nil
}

func rootCause(err error) string {
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner
	}
	return err.Error()
}

// Run runs a program: argv[0] is its absolute path, stdin what it may read. That it fails or is killed is no error.
//
//  1. This program starts again as the helper (helper_linux.go), in new namespaces.
//  2. The helper hides and bounds what it can, gives up all rights, and becomes the program.
//  3. When the time is over the process group is killed, and with its first process the whole PID namespace.
func (s *Sandbox) Run(ctx context.Context, argv []string, stdin string) (Result, error) {
	folder := "/" // the helper makes /tmp a folder of its own
	if s.bare != "" {
		made, err := os.MkdirTemp("", "sandbox-*")
		if err != nil {
			return Result{}, fmt.Errorf("sandbox: %w", err)
		}
		defer os.RemoveAll(made)
		folder = made
	}
	// By descriptor, for the program's own folder may be closed to the user that it runs as.
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		return Result{}, fmt.Errorf("sandbox: open this program: %w", err)
	}
	defer self.Close()
	j, err := json.Marshal(job{Argv: argv, Limits: s.limits, Isolated: s.bare == "", Hidden: hidden(argv[0])})
	if err != nil {
		return Result{}, fmt.Errorf("sandbox: %w", err)
	}

	runCtx, cancel := context.WithTimeout(ctx, s.limits.Time)
	defer cancel()
	command := exec.CommandContext(runCtx, "/proc/self/fd/3", string(j))
	command.Args[0] = helperName
	command.ExtraFiles = []*os.File{self}
	command.Env, command.Dir, command.WaitDelay = []string{}, folder, time.Second
	command.Stdin = strings.NewReader(stdin)
	stdout, stderr := &bounded{limit: s.limits.Output}, &bounded{limit: s.limits.Output}
	command.Stdout, command.Stderr = stdout, stderr
	command.SysProcAttr = s.attributes()
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGKILL) }

	// The kernel kills the program when the thread that started it ends: it must not outlive this process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	started := time.Now()
	if err := command.Start(); err != nil {
		return Result{}, fmt.Errorf("sandbox: start %s: %w", argv[0], err)
	}
	err = command.Wait()
	syscall.Kill(-command.Process.Pid, syscall.SIGKILL) // what it left behind; there may be nothing
	if ctx.Err() != nil {
		return Result{}, ctx.Err()
	}
	result := Result{Stdout: stdout.text(), Stderr: stderr.text(), Cut: stdout.cut || stderr.cut, Time: time.Since(started), Exit: command.ProcessState.ExitCode()}
	switch {
	case runCtx.Err() != nil:
		result.Exit, result.Killed = -1, "time"
	case result.Exit < 0:
		result.Killed = command.ProcessState.String()
	case err != nil && !errors.As(err, new(*exec.ExitError)) && !errors.Is(err, exec.ErrWaitDelay) && !errors.Is(err, syscall.EPIPE):
		return Result{}, fmt.Errorf("sandbox: run %s: %w", argv[0], err)
	}
	return result, nil
}

func (s *Sandbox) attributes() *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if s.bare != "" {
		return a
	}
	a.Cloneflags = syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS
	uid, gid := os.Geteuid(), os.Getegid()
	if uid == 0 {
		uid, gid, a.GidMappingsEnableSetgroups = nobody, nobody, true
	}
	a.Credential = &syscall.Credential{NoSetGroups: !a.GidMappingsEnableSetgroups} // 0 in there is the user out here
	a.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}}
	a.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: gid, Size: 1}}
	return a
}

// hidden lists folders that an isolated program finds empty: those with other programs' and people's files, unless the
// interpreter lies there. /tmp becomes the folder it may write to.
func hidden(interpreter string) []string {
	folders := []string{"/home", "/root", "/mnt", "/media", "/srv", "/run", "/var/tmp", "/dev/shm", "/proc", "/sys"}
	if home, err := os.UserHomeDir(); err == nil && filepath.IsAbs(home) && home != "/" {
		folders = append(folders, filepath.Clean(home))
	}
	folders = slices.DeleteFunc(folders, func(folder string) bool {
		info, err := os.Stat(folder)
		return strings.HasPrefix(interpreter, folder+"/") || err != nil || !info.IsDir()
	})
	return append(folders, "/tmp")
}

// interpreters lists where python3 may be; links are followed, but not scripts that only stand for one.
func interpreters() []string {
	var found []string
	candidates := []string{"/usr/bin/python3", "/usr/local/bin/python3"}
	if path, err := exec.LookPath("python3"); err == nil {
		candidates = append([]string{path}, candidates...)
	}
	for _, path := range candidates {
		if path, err := filepath.EvalSymlinks(path); err == nil && filepath.IsAbs(path) && !slices.Contains(found, path) && !isScript(path) {
			found = append(found, path)
		}
	}
	return found
}

func isScript(path string) bool {
	file, err := os.Open(path)
	if err != nil {
		return false
	}
	defer file.Close()
	start := make([]byte, 2)
	_, err = io.ReadFull(file, start)
	return err == nil && string(start) == "#!"
}
