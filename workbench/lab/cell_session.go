package lab

import (
	"context"
	"errors"
	"fmt"
	"os"

	"tandem/workbench/session"
)

// useSession says whether the cell-facing calls start a session if none is running.
var useSession bool

// UseSession makes the cell-facing calls of this process work in the session of the runs folder, which is started if need
// be: its trainings and loaded models outlive the process. Package notebook asks for it wherever GoNB runs the program.
// Without it they use a session that is there, and else work in this process.
func UseSession() { useSession = true }

// openBench gives the workbench that does a cell's work. A training that is to keep running needs a session.
func openBench(keepRunning bool) (session.Workbench, error) {
	ctx := context.Background()
	say := func(line string) { display.Show(Panel{Note: line}) }
	off := os.Getenv(SessionVariable) == "off"
	switch {
	case keepRunning && off:
		return nil, fmt.Errorf("keep running: a training can only outlive its program in a session, and %s is off", SessionVariable)
	case keepRunning || useSession || off:
		return Attach(ctx, AttachOptions{Say: say})
	}
	found, err := AttachRunning(ctx, say)
	if errors.Is(err, session.ErrNone) {
		return NewWorkbench(say), nil
	}
	if err != nil { // not returned as it is, for a nil *Client is no nil Workbench
		return nil, err
	}
	return found, nil
}
