package lab

import (
	"math"
	"path/filepath"
	"slices"
	"strings"

	"tandem/models"
	"tandem/workbench/config"
	"tandem/workbench/session"
)

// The words of a configuration and of a session, for what imports lab alone.
type (
	Config        = config.Config
	Workbench     = session.Workbench
	SessionStatus = session.Status
	Training      = session.Training
	TrainRequest  = session.TrainRequest
	SampleRequest = session.SampleRequest
	ModelRequest  = session.ModelRequest
	Sampling      = session.Sampling
)

// TrainingFailed is the state of a training that ended with its Problem.
const TrainingFailed = session.Failed

// ErrNoSession is what AttachRunning fails with where no session is running.
var ErrNoSession = session.ErrNone

// LoadConfig makes a configuration from a name, which may be "", and overrides, each KEY=VALUE: see config.Load.
func LoadConfig(name string, overrides []string) (*Config, error) {
	return config.Load(name, overrides)
}

// ConfigNames lists the named configurations.
func ConfigNames() []string { return config.Names() }

// ConfigKeys lists every key of a configuration.
func ConfigKeys() []string { return config.Keys() }

// DidYouMean names the candidate nearest to what was written, if one is near: "did you mean "steps"? ".
func DidYouMean(written string, candidates []string) string {
	return config.DidYouMean(written, candidates)
}

// GPUNames lists the cards that are known, as FindGPU takes them.
func GPUNames() []string {
	names := []string{"auto"}
	for _, gpu := range models.GPUs {
		names = append(names, strings.ReplaceAll(strings.ToLower(gpu.Name), " ", "-"))
	}
	return names
}

// Loss is the run's smoothed training loss, in nats a token, after each of its steps. Both are empty before the first.
func (c Compared) Loss() (steps, nats []float64) { return c.curve.steps, c.curve.loss }

// HasCurve says whether there is a loss to draw: that of a run before its first step, or gone to NaN at once, is none.
func (c Compared) HasCurve() bool {
	return slices.ContainsFunc(c.curve.loss, func(loss float64) bool { return !math.IsNaN(loss) })
}

// PromptHistoryFile is where lines typed at the workbench's prompt are kept, in the user's cache folder.
func PromptHistoryFile() (string, error) {
	folder, err := cacheFolder()
	return filepath.Join(folder, "repl_history.jsonl"), err
}
