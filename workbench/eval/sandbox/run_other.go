//go:build !linux

package sandbox

import (
	"context"
	"fmt"
	"runtime"
)

// New refuses: only Linux has the limits that this package relies on.
func New(Limits) (*Sandbox, error) {
	return nil, fmt.Errorf("%w: %s has no limits that hold; use Linux, or a virtual machine with it", ErrUnsupported, runtime.GOOS)
}

// Run is for a Sandbox that New made.
func (s *Sandbox) Run(context.Context, []string, string) (Result, error) {
	return Result{}, ErrUnsupported
}

func interpreters() []string { return nil }
