package bench

import (
	"tandem/models"
	"tandem/workbench/config"
	"tandem/workbench/generate"
	"tandem/xla"
)

// randomEngine is an engine over a model with random weights.
type randomEngine struct {
	device *xla.Device
	model  *models.Model
	engine *generate.Engine
}

// openEngine opens one whose rows hold so many tokens; an error about that begins with what needs them. Close it.
func openEngine(c *config.Config, needs string, capacity int, o generate.Options, say func(string)) (*randomEngine, error) {
	model, err := models.New(c.Model)
	if err != nil {
		return nil, err
	}
	if capacity > model.Config.Context {
		return nil, mistake("%s do not fit the context %d; raise --context", needs, model.Config.Context)
	}
	device, err := xla.Open(c.Backend)
	if err != nil {
		return nil, err
	}
	say(device.Summary())
	o.Capacity = capacity
	engine, err := generate.New(device, model, randomWeights(model), o)
	if err != nil {
		device.Finalize()
		return nil, err
	}
	return &randomEngine{device, model, engine}, nil
}

func (e *randomEngine) close() {
	e.engine.Close()
	e.device.Finalize()
}

// weightBytes is what a step reads of weights: all but the embedding, of which it reads a line a row.
func (e *randomEngine) weightBytes() int64 {
	return int64(e.model.Parameters()-e.model.Config.Vocab*e.model.Config.Width) * int64(e.device.Compute.Size())
}
