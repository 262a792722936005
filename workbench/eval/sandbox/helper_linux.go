package sandbox

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// helperName is argv[0] of this program when it is started to become a program in the sandbox.
const helperName = "tandem-sandbox-helper"

// job is what the helper is told.
type job struct {
	Argv     []string
	Limits   Limits
	Isolated bool
	Hidden   []string
}

// Every program that links this package, tests included, can be the helper.
func init() {
	if len(os.Args) != 2 || os.Args[0] != helperName {
		return
	}
	runtime.LockOSThread() // rights belong to threads
	fmt.Fprintln(os.Stderr, "sandbox: "+become(os.Args[1]).Error())
	os.Exit(126)
}

// become turns this process into the program. It returns only an error.
//
//  1. isolate: the file system becomes read-only, folders are hidden, /tmp is a small one in memory.
//  2. limit: the kernel's limits, which cannot be raised again.
//  3. renounce: all capabilities go, and with them the right to undo step 1.
func become(encoded string) error {
	var j job
	if err := json.Unmarshal([]byte(encoded), &j); err != nil {
		return err
	}
	unix.CloseOnExec(3)
	if j.Isolated {
		if err := j.isolate(); err != nil {
			return err
		}
	}
	if err := renounce(); err != nil {
		return err
	}
	if err := j.Limits.apply(); err != nil {
		return err
	}
	return fmt.Errorf("run %s: %w", j.Argv[0], syscall.Exec(j.Argv[0], j.Argv, nil))
}

func (j job) isolate() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	locked := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID}
	if err := unix.MountSetattr(unix.AT_FDCWD, "/", unix.AT_RECURSIVE, &locked); err != nil {
		return fmt.Errorf("make files read-only: %w", err)
	}
	for _, folder := range j.Hidden {
		flags, options := uintptr(unix.MS_NOSUID|unix.MS_NODEV), "mode=0700,size="+strconv.FormatInt(j.Limits.Files, 10)
		if folder != "/tmp" {
			flags, options = flags|unix.MS_RDONLY, "mode=0700,size=4k"
		}
		if err := unix.Mount("none", folder, "tmpfs", flags, options); err != nil {
			return fmt.Errorf("hide %s: %w", folder, err)
		}
	}
	if err := os.Chdir("/tmp"); err != nil {
		return err
	}
	return unix.Sethostname([]byte("sandbox"))
}

// apply sets the limits of this process and its children.
func (l Limits) apply() error {
	seconds := uint64(l.Time.Seconds()) + 1
	for _, limit := range []struct {
		name     string
		resource int
		value    uint64
	}{
		{"processor time", unix.RLIMIT_CPU, seconds}, {"file size", unix.RLIMIT_FSIZE, uint64(l.Files)}, {"core files", unix.RLIMIT_CORE, 0},
		{"open files", unix.RLIMIT_NOFILE, 64}, {"processes", unix.RLIMIT_NPROC, uint64(l.Processes)}, {"memory", unix.RLIMIT_AS, uint64(l.Memory)},
	} {
		if err := syscall.Setrlimit(limit.resource, &syscall.Rlimit{Cur: limit.value, Max: limit.value}); err != nil {
			return fmt.Errorf("limit %s: %w", limit.name, err)
		}
	}
	return nil
}

// renounce gives up capabilities for good; without namespaces there are none to give up.
func renounce() error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("renounce new privileges: %w", err)
	}
	for capability := uintptr(0); capability <= 63; capability++ {
		// EINVAL is a capability that this kernel does not have, EPERM a process that has none to drop.
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, capability, 0, 0, 0); err != nil && err != unix.EINVAL && err != unix.EPERM {
			return fmt.Errorf("renounce capability %d: %w", capability, err)
		}
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData // version 3 reads two
	if err := unix.Capset(&header, &none[0]); err != nil {
		return fmt.Errorf("renounce capabilities: %w", err)
	}
	return nil
}
