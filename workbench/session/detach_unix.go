//go:build unix

package session

import "syscall"

// detached gives a process its own session, so that neither the end of a terminal nor a signal to its group reaches it.
func detached() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }
