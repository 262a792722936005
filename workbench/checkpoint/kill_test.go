package checkpoint

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// victimRun tells a re-executed test binary which run to save in until it is killed.
const victimRun = "TANDEM_CHECKPOINT_VICTIM"

func TestMain(m *testing.M) {
	if run := os.Getenv(victimRun); run != "" {
		fmt.Println("failed:", saveForever(run))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// saveForever saves every step twice, keeps two, and says on stdout what it has saved.
func saveForever(run string) error {
	step := 0
	if _, entry, _, err := Latest(run); err == nil {
		step = entry.Step + 1
	}
	for ; ; step++ {
		for generation := range 2 {
			if _, err := Save(run, snapshot(step, generation)); err != nil {
				return err
			}
			fmt.Println("saved", step, generation)
		}
		if _, err := Retain(run, 2); err != nil {
			return err
		}
	}
}

func TestAKillAtAnyMomentLosesNothingThatWasReportedSaved(t *testing.T) {
	run := tidyRun(t)
	program, err := os.Executable()
	require.NoError(t, err)
	step, generation := -1, 0 // the last one reported
	for kill := range 20 {
		var out bytes.Buffer
		victim := exec.Command(program)
		victim.Env = append(os.Environ(), victimRun+"="+run)
		victim.Stdout = &out
		require.NoError(t, victim.Start())
		time.Sleep(time.Duration(20+rand.IntN(150)) * time.Millisecond)
		require.NoError(t, victim.Process.Kill())
		require.Error(t, victim.Wait())

		for lines := bufio.NewScanner(&out); lines.Scan(); {
			_, err := fmt.Sscanf(lines.Text(), "saved %d %d", &step, &generation)
			require.NoError(t, err, lines.Text())
		}
		if step < 0 {
			continue // killed before the first was saved
		}
		s, entry, skipped, err := Latest(run)
		require.NoError(t, err, "after kill %d", kill)
		require.Empty(t, skipped, "a kill must not leave anything that looks like a broken checkpoint")
		require.GreaterOrEqual(t, entry.Step, step)
		atLeast := 0
		if entry.Step == step {
			atLeast = generation
		}
		require.True(t, isSnapshot(s, entry.Step, atLeast), "step %d is not as it was saved", entry.Step)
	}
	require.Positive(t, step, "no victim lived long enough to save")
	mustSave(t, run, snapshot(step+1000, 0)) // sweeps; tidyRun then finds nothing left behind
}

func isSnapshot(s Snapshot, step, atLeast int) bool {
	for generation := atLeast; generation < 2; generation++ {
		want := snapshot(step, generation)
		if string(s.State) == string(want.State) {
			return reflect.DeepEqual(s, want)
		}
	}
	return false
}
