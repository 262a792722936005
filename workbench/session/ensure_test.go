//go:build unix

package session

import (
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gofrs/flock"
	"github.com/stretchr/testify/require"
)

func TestASessionStartsApartFromTheProgramThatNeedsIt(t *testing.T) {
	runs := runsFolder(t)
	_, err := Dial(soon(t), runs, "test")
	require.EqualError(t, err, "no session is running in "+runs)
	c := process(t, runs)
	require.NotEqual(t, os.Getpid(), c.Process().PID)
	group, err := syscall.Getpgid(c.Process().PID)
	require.NoError(t, err)
	require.Equal(t, c.Process().PID, group, "its own process group, which no terminal's Ctrl-C reaches")
	require.Empty(t, c.Notices())
	log, err := os.ReadFile(c.Process().Log)
	require.NoError(t, err)
	require.Contains(t, string(log), "serves "+runs)

	again, err := Ensure(soon(t), runs, Start{Command: command("/no/such/program"), Build: "test"})
	require.NoError(t, err, "the one that runs is taken")
	require.Equal(t, c.Process(), again.Process())
}

func TestClientsThatComeAtOnceShareOneSession(t *testing.T) {
	runs := runsFolder(t)
	t.Setenv(serveVariable, "serve:"+runs)
	found := make([]*Client, 4)
	var group sync.WaitGroup
	for i := range found {
		group.Go(func() {
			var err error
			if found[i], err = Ensure(soon(t), runs, Start{Command: command(os.Args[0])}); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	require.False(t, t.Failed())
	for _, c := range found {
		require.Equal(t, found[0].Process().PID, c.Process().PID)
	}
	require.NoError(t, found[0].Shutdown(soon(t)))
}

func TestASessionThatEndsBeforeItAnswersIsNone(t *testing.T) {
	runs := runsFolder(t)
	p, err := placeIn(runs)
	require.NoError(t, err)
	require.NoError(t, p.make())
	lock := flock.New(p.file(serveLock))
	require.NoError(t, lock.Lock()) // it has not quite gone
	defer lock.Unlock()
	var listener net.Listener
	require.NoError(t, p.reach(func(path string) (err error) {
		listener, err = net.Listen("unix", path)
		return err
	}))
	defer listener.Close()
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			connection.Close()
		}
	}()
	for range 300 { // what is seen of it depends on how far the request is
		_, err = Dial(soon(t), runs, "test")
		require.ErrorIs(t, err, ErrNone)
	}
}

func TestASessionThatWasKilledIsTold(t *testing.T) {
	runs := runsFolder(t)
	c := process(t, runs)
	_, err := c.Train(soon(t), TrainRequest{}) // whatever it answers, the session notes what it trains
	require.EqualError(t, err, "the session is training first")

	killed := false
	for _, err = range c.Chat(soon(t), ChatRequest{Message: "wait"}) {
		if !killed {
			require.NoError(t, syscall.Kill(c.Process().PID, syscall.SIGKILL))
			killed = true
		}
	}
	died := "died: it was killed, perhaps for want of memory, or the machine was restarted; its loaded models and conversations are gone; " +
		"it was training first, which --resume continues from the last checkpoint"
	require.ErrorContains(t, err, died)
	require.ErrorContains(t, err, "the next call starts a new one")
	_, err = Dial(soon(t), runs, "test")
	require.ErrorIs(t, err, ErrNone)
	require.ErrorContains(t, err, died)

	next := process(t, runs)
	require.Len(t, next.Notices(), 1)
	require.Contains(t, next.Notices()[0], died)
	status, err := next.Status(soon(t))
	require.NoError(t, err)
	require.Contains(t, status.Process.Previous, died)
	require.Empty(t, attached(t, runs).Notices(), "once is enough")
}

func TestAClientWhoseSessionIsGoneStartsAnother(t *testing.T) {
	runs := runsFolder(t)
	t.Setenv(serveVariable, "serve:"+runs)
	said := &logged{}
	c, err := Ensure(soon(t), runs, Start{Command: command(os.Args[0]), Say: said.add})
	require.NoError(t, err)
	require.NoError(t, syscall.Kill(c.Process().PID, syscall.SIGKILL))
	require.NoError(t, c.place.waitUnserved(soon(t)))
	pieces, err := all(t, c.Chat(soon(t), ChatRequest{Message: "hello"}))
	require.NoError(t, err)
	require.Len(t, pieces, 2)
	require.Contains(t, said.String(), "died: it was killed")
	status, err := c.Status(soon(t))
	require.NoError(t, err)
	require.NotEqual(t, c.Process().PID, status.Process.PID)
	require.NoError(t, c.Shutdown(soon(t)))
}

func TestASessionThatPanickedSaysWithWhat(t *testing.T) {
	runs := runsFolder(t)
	_, err := all(t, process(t, runs).Chat(soon(t), ChatRequest{Message: "die"}))
	require.ErrorContains(t, err, "died: panic: a fatal fake (see "+filepath.Join(runs, ".session", "log")+")")
	next := process(t, runs)
	require.Contains(t, next.Notices()[0], "panic: a fatal fake")
	require.NoError(t, next.Shutdown(soon(t)))
	require.Empty(t, process(t, runs).Notices(), "the one after it is told nothing")
}

func TestASessionThatDoesNotStartSaysWhy(t *testing.T) {
	for name, x := range map[string]struct {
		mode    string
		command string
		wait    time.Duration
		says    []string
	}{
		"a program that fails":        {mode: "fail", command: os.Args[0], says: []string{"it ended: exit status 1; its log", "ends: ", "there is no device here"}},
		"a program that never serves": {mode: "hang", command: os.Args[0], wait: 300 * time.Millisecond, says: []string{"it does not answer after 300ms; its log"}},
		"no program":                  {command: "/no/such/program", says: []string{"start a session: fork/exec /no/such/program: no such file or directory"}},
	} {
		t.Run(name, func(t *testing.T) {
			runs := runsFolder(t)
			t.Setenv(serveVariable, x.mode+":"+runs)
			_, err := Ensure(soon(t), runs, Start{Command: command(x.command), Wait: x.wait})
			for _, part := range x.says {
				require.ErrorContains(t, err, part)
			}
		})
	}
}

// Another session may have been there when it ended, and be gone itself before it answers.
func TestAProgramThatFoundAnotherSessionStaysEnded(t *testing.T) {
	p, err := placeIn(runsFolder(t))
	require.NoError(t, err)
	require.NoError(t, p.make())
	t.Setenv(serveVariable, "leave:")
	child, err := p.spawn([]string{os.Args[0]})
	require.NoError(t, err)
	exited := func() bool {
		exited, err := child.exited()
		require.NoError(t, err)
		return exited
	}
	require.Eventually(t, exited, 20*time.Second, time.Millisecond)
	require.True(t, exited(), "so that another is started when the folder is free")
}

func TestAFolderThatCannotBeWrittenIsSaid(t *testing.T) {
	runs := filepath.Join(t.TempDir(), "runs")
	require.NoError(t, os.WriteFile(runs, nil, 0o600))
	_, err := Ensure(soon(t), runs, Start{Command: command(os.Args[0])})
	require.ErrorContains(t, err, "make the session's folder: mkdir "+runs+": not a directory; it must be on a disk that you can write")
	require.ErrorContains(t, Serve(soon(t), &fake{}, ServeOptions{Runs: runs}), "not a directory")
}

func TestAStateThatCannotBeReadIsNoObstacle(t *testing.T) {
	runs := runsFolder(t)
	p, err := placeIn(runs)
	require.NoError(t, err)
	require.NoError(t, p.make())
	require.NoError(t, os.WriteFile(p.file(stateFile), []byte("{"), 0o600))
	c := process(t, runs)
	require.Contains(t, c.Notices()[0], "cannot be read (unexpected end of JSON input), so how the last session ended is not known")
}
