package testkit

import (
	"testing"
	"time"
)

// Promptly is the call's error; a call that hangs, as one that opens a pipe nobody writes to does, fails the test.
func Promptly(t testing.TB, call func() error) error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- call() }()
	select {
	case err := <-done:
		return err
	case <-time.After(20 * time.Second):
		t.Fatal("the call hangs")
		return nil
	}
}
