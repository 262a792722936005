//go:build unix

package lab

import (
	"context"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tandem/workbench/session"
)

// interrupting is a Display that, at the first step it is shown, interrupts the cell as Jupyter does.
type interrupting struct {
	shown
	t    *testing.T
	sent bool
}

func (i *interrupting) Live() func(Panel) {
	return func(p Panel) {
		i.updates = append(i.updates, p)
		if !i.sent && strings.HasPrefix(p.Note, "step ") {
			i.sent = true
			require.NoError(i.t, syscall.Kill(os.Getpid(), syscall.SIGINT))
		}
	}
}

func interrupted(t *testing.T) *interrupting {
	elsewhere(t)
	watched(t)
	s := &interrupting{t: t}
	SetDisplay(s)
	return s
}

func TestAnInterruptedCellStopsItsTrainingWithACheckpoint(t *testing.T) {
	s := interrupted(t)
	run := Train(small("first"), Steps(100_000))
	require.NoError(t, run.Err(), "to be stopped is no failure")
	require.True(t, s.sent)
	require.Contains(t, s.updates[len(s.updates)-1].Note, "first: stopped after")
	require.NoError(t, run.Show().Err())
	require.NotEmpty(t, s.panels[len(s.panels)-1].Tables[0].Rows, "a checkpoint")
}

func TestAnInterruptedCellLeavesATrainingThatIsToKeepRunning(t *testing.T) {
	s := interrupted(t)
	bench := workbenchHere(t)
	training, err := bench.Train(within(t), tinyRequest(t, "first", 100_000, "log_every=1"))
	require.NoError(t, err)
	ctx, done := interruptible()
	defer done()
	run := follow(ctx, bench, training.Folder, true)
	require.NoError(t, run.Err())
	require.Contains(t, s.updates[len(s.updates)-1].Note, `lab.Watch("first") shows it, lab.Stop("first") ends it.`)
	stopped, err := bench.StopTraining(context.Background(), "first")
	require.NoError(t, err)
	require.Equal(t, session.Stopped, stopped.State)
}

// lateSession is a session whose trainings stop, but not soon.
type lateSession struct{ session.Workbench }

func (l lateSession) StopTraining(ctx context.Context, run string) (session.Training, error) {
	<-ctx.Done()
	return session.Training{}, ctx.Err()
}

func TestAnInterruptedCellEndsBeforeGoNBKillsIt(t *testing.T) {
	s := interrupted(t)
	before := stopPatience
	t.Cleanup(func() { stopPatience = before })
	require.Less(t, stopPatience, 5*time.Second)
	stopPatience = time.Millisecond
	bench := workbenchHere(t)
	training, err := bench.Train(within(t), tinyRequest(t, "first", 100_000, "log_every=1"))
	require.NoError(t, err)
	ctx, done := interruptible()
	defer done()
	run := follow(ctx, lateSession{bench}, training.Folder, false)
	require.NoError(t, run.Err())
	require.Contains(t, s.updates[len(s.updates)-1].Note, `first is stopping; its session saves the checkpoint. lab.Open("first").Show()`)
}
