package speedrun

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"time"

	"tandem/models"
	"tandem/workbench/config"
	"tandem/workbench/lab"
	"tandem/workbench/train"
	"tandem/xla"
)

// speed is how fast a training is, and what memory it takes.
type speed struct {
	tokensPerSecond float64
	bytes           int64
	// from says how both are known.
	from, bytesFrom string
}

const (
	// measuredSteps are timed after one that is not, for at most measuredTime or once.
	measuredSteps = 8
	measuredTime  = 4 * time.Second
)

// findSpeed predicts for a card, and measures passes elsewhere.
func (p *planner) findSpeed(ctx context.Context) (speed, error) {
	if p.card != nil {
		report, err := lab.Memory(p.config, p.card)
		if err != nil {
			return speed{}, err
		}
		return speed{report.Card.Speed.TokensPerSecond, report.Training.Bytes, "predicted for " + p.card.Name, fmt.Sprintf(
			"predicted for %s, of %s", p.card.Name, lab.Size(p.card.Available()))}, nil
	}
	device, err := xla.Open(p.config.Backend)
	if err != nil {
		return speed{}, err
	}
	defer device.Finalize()
	o := p.config.Train
	o.Accumulate = 1
	p.options.Say(fmt.Sprintf("measuring a few steps of %d × %d tokens on %s", o.Batch, p.model.Config.Context, device.Kind))
	return measureSpeed(ctx, device, p.model, o)
}

// timeBase makes the base as long as its minutes are on this machine's card, whose speed is measured: predictions are too rough to
// train two patterns for the same time. For a card that is elsewhere the prediction stands.
func (p *planner) timeBase(ctx context.Context) (err error) {
	if p.speed, err = p.findSpeed(ctx); err != nil || p.elsewhere {
		return err
	}
	device, err := xla.Open(p.config.Backend)
	if err != nil {
		return err
	}
	defer device.Finalize()
	o := p.config.Train
	p.options.Say(fmt.Sprintf("measuring a few steps of %d × %d × %d tokens on %s", o.Accumulate, o.Batch, p.model.Config.Context, p.card.Name))
	measured, err := measureSpeed(ctx, device, p.model, o)
	if err != nil {
		return err
	}
	p.speed.tokensPerSecond, p.speed.from = measured.tokensPerSecond, measured.from
	timed, err := config.NewHorizon(p.config.Model, p.options.Ratio, max(1, int64(60*p.minutes*measured.tokensPerSecond)))
	p.horizon.Tokens = timed.Tokens // and the shape stays, for another would have another speed
	return err
}

// measureSpeed trains for a few steps on noise, which takes as long as text does.
func measureSpeed(ctx context.Context, device *xla.Device, model *models.Model, o train.Options) (speed, error) {
	o.Steps, o.Minutes = measuredSteps+1, 0
	trainer, err := train.New(device, model, o)
	if err != nil {
		return speed{}, err
	}
	defer trainer.Close()
	o = trainer.Options()
	batches := slices.Repeat([]train.Batch{noise(o.Batch*model.Config.Context, model.Config.Vocab)}, o.Accumulate)
	var started time.Time
	steps := 0
	for ; steps < measuredSteps && (steps < 1 || time.Since(started) < measuredTime); steps++ {
		if started.IsZero() { // the first one compiles
			if err := oneStep(ctx, trainer, batches); err != nil {
				return speed{}, err
			}
			started = time.Now()
		}
		if err := oneStep(ctx, trainer, batches); err != nil {
			return speed{}, err
		}
	}
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	return speed{
		float64(steps*o.Accumulate*len(batches[0].Tokens)) / time.Since(started).Seconds(), int64(memory.Sys),
		fmt.Sprintf("measured on %s: %d steps of %d rows", device.Kind, steps, o.Accumulate*o.Batch), "of this process after them" + available(),
	}, nil
}

// oneStep does one step and waits for it.
func oneStep(ctx context.Context, trainer *train.Trainer, batches []train.Batch) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err := trainer.Step(batches); err != nil {
		return err
	}
	_, err := trainer.Flush()
	return err
}

func noise(tokens, vocab int) train.Batch {
	draw := rand.New(rand.NewPCG(1, 2))
	batch := train.Batch{Tokens: make([]int32, tokens), Targets: make([]int32, tokens), Documents: make([]int32, tokens)}
	for i := range tokens {
		batch.Tokens[i], batch.Targets[i] = draw.Int32N(int32(vocab)), draw.Int32N(int32(vocab))
	}
	return batch
}

// available says in words how much memory is free.
func available() string {
	if free, ok := lab.FreeMemory(); ok {
		return fmt.Sprintf("; %s are free beside it", lab.Size(free))
	}
	return ""
}
