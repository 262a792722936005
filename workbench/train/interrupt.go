package train

import (
	"context"
	"errors"
)

// ErrInterrupted is returned by a loop whose context was cancelled, after it has saved a checkpoint.
var ErrInterrupted = errors.New("interrupted; the checkpoint is saved, --resume continues")

// errCut is ErrInterrupted where there is nothing left to resume.
var errCut = interruptedLast{}

type interruptedLast struct{}

func (interruptedLast) Error() string {
	return "interrupted in the last validation or sample; all steps are done and saved, and workbench eval measures them"
}

func (interruptedLast) Unwrap() error { return ErrInterrupted }

// interrupt saves what there is, so that no step is lost.
func (l *Loop) interrupt() error {
	if err := l.flush(); err != nil {
		return err
	}
	if err := l.save(); err != nil {
		return err
	}
	if err := l.event(l.Trainer.At(), "interrupted"); err != nil {
		return err
	}
	return ErrInterrupted
}

// hooked is the error of a hook, but for one that the end of ctx caused: of that is told after the save.
func (l *Loop) hooked(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil {
		return err
	}
	l.cut = true
	return nil
}

// end says whether the last hooks came to their ends.
func (l *Loop) end() error {
	if !l.cut {
		return nil
	}
	if err := l.event(l.Trainer.At(), "interrupted"); err != nil {
		return err
	}
	return errCut
}
