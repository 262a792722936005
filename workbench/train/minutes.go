package train

import (
	"fmt"
	"time"

	"github.com/gomlx/gomlx/core/tensors"
)

const (
	// timedSteps is how many steps a training of Minutes can have: the length of its table of rates.
	timedSteps = 1 << 18
	// minTimed is the steps before the first estimate, of which the first does not count: it is slower.
	minTimed = 4
)

// clock is how a training of Minutes finds its number of steps.
type clock struct {
	steps int     // of this process
	from  float64 // the training's seconds after the first of them
	tenth int     // of the time, in which the last estimate was made; from 1
}

// retime estimates the number of steps anew: after minTimed steps, and in each further tenth of the time but the last.
func (l *Loop) retime() error {
	budget, c := 60*l.Trainer.options.Minutes, &l.clock
	if budget == 0 {
		return nil
	}
	if c.steps++; c.steps == 1 {
		c.from = l.state.Seconds
	}
	tenth := 1 + int(10*l.state.Seconds/budget)
	if c.steps < minTimed || tenth == c.tenth || (c.tenth > 0 && tenth > 9) {
		return nil
	}
	c.tenth = tenth
	if err := l.settle(); err != nil {
		return err
	}
	one := (l.state.Seconds - c.from) / float64(c.steps-1)
	return l.Trainer.setSteps(l.Trainer.At() + max(0, int((budget-l.state.Seconds)/one)))
}

// settle waits until the device has done all steps, one of which it may still be at when Step returns: the time is the
// training's, and not of what comes next.
func (l *Loop) settle() error {
	start := time.Now()
	err := l.Trainer.wait()
	l.spend(time.Since(start))
	return err
}

// spend counts training time.
func (l *Loop) spend(elapsed time.Duration) {
	l.spent += elapsed
	l.state.Seconds += elapsed.Seconds()
}

// timeLeft refuses to go on with a training whose minutes are over. One that goes on has the steps that its speed so far
// leaves room for, until they are estimated anew: its rates are then those of its place in the schedule.
func (l *Loop) timeLeft() error {
	minutes, done := l.Trainer.options.Minutes, l.Trainer.At()
	left := 60*minutes - l.state.Seconds
	switch {
	case minutes == 0:
		return nil
	case left <= 0:
		return fmt.Errorf("train: the %g minutes of this run are over, after %d steps; raise minutes to train on", minutes, done)
	case done == 0 || l.state.Seconds == 0:
		return nil
	}
	return l.Trainer.setSteps(done + max(minTimed, int(left*float64(done)/l.state.Seconds)))
}

// setSteps makes the training end after so many steps and draws its schedule anew. The compiled step reads rates from a
// table of the old length, so the new one is filled up.
func (t *Trainer) setSteps(steps int) error {
	length := t.step.o.Steps
	t.options.Steps = max(1, min(steps, length))
	t.options.Warmup = min(t.options.Warmup, max(1, t.options.Steps/10))
	table := make([]float32, length*rateColumns)
	copy(table, t.options.rateTable())
	old := t.step.rates
	t.step.rates = tensors.FromFlatDataAndDimensions(table, length, rateColumns)
	return old.FinalizeAll()
}
