package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"tandem/models"
	"tandem/workbench/config"
	"tandem/workbench/runlog"
	"tandem/workbench/tokenizer"
	"tandem/xla"
)

// RunsFolder is where runs live, below the working directory.
const RunsFolder = "runs"

// TokenizerFile is a run's tokenizer, in Hugging Face's format.
const TokenizerFile = "tokenizer.json"

// Info is run.json: all that is needed to know what a run was and to continue it.
type Info struct {
	Name    string         `json:"name"`
	Created time.Time      `json:"created"`
	Config  *config.Config `json:"config"`
	Pattern string         `json:"pattern"`
	Seed    uint64         `json:"seed"`
	Backend string         `json:"backend"`
	Reason  string         `json:"backend_reason"`
	// Parameters and UnigramBPB put the run's numbers in proportion.
	Parameters int               `json:"parameters"`
	UnigramBPB float64           `json:"unigram_bpb"`
	Versions   map[string]string `json:"versions"`
	Command    []string          `json:"command"`
	// Parent, Conversations and BaseBPB are of an instruction tuning: what it began with, what it learns from, and the
	// bits per byte on held-out conversations before its first step.
	Parent        *Parent        `json:"parent,omitempty"`
	Conversations *Conversations `json:"conversations,omitempty"`
	BaseBPB       float64        `json:"base_bpb,omitempty"`
	// RL is of a training on rewards; its Parent is the run it began with.
	RL *RLSettings `json:"rl,omitempty"`
}

// Run is a run's folder.
type Run struct {
	Name   string
	Folder string
	Info   Info

	err error // of the call that should have given it, for a cell
}

// OpenRun finds a run by its name under runs/ or by its path; "" is the newest.
func OpenRun(reference string) (*Run, error) {
	var folder string
	switch reference {
	case "":
		newest, err := newestRun()
		if err != nil {
			return nil, err
		}
		folder = newest
	default:
		folder = RunFolder(reference)
	}
	run := &Run{Name: filepath.Base(folder), Folder: folder}
	if _, err := os.Stat(folder); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open run %q: there is no folder %s; %s", reference, folder, existingRuns())
	}
	if err := runlog.ReadRun(folder, &run.Info); err != nil {
		return nil, err
	}
	if run.Info.Config == nil {
		return nil, fmt.Errorf("open run %q: %s has no configuration; it was not written by workbench train", reference, filepath.Join(folder, runlog.RunFile))
	}
	return run, nil
}

func newestRun() (string, error) {
	runs, err := runlog.List(RunsFolder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if len(runs) == 0 {
		return "", fmt.Errorf("open run: there is none under %s; train one with: go run ./workbench train", RunsFolder)
	}
	return runs[0].Dir, nil
}

// existingRuns lists what there is, for errors.
func existingRuns() string {
	runs, err := runlog.List(RunsFolder)
	if err != nil || len(runs) == 0 {
		return fmt.Sprintf("there is none under %s yet; train one with: go run ./workbench train", RunsFolder)
	}
	names := make([]string, len(runs))
	for i, run := range runs {
		names[i] = run.Name
	}
	return "there are " + strings.Join(names, ", ")
}

// Tokenizer reads the run's tokenizer. It must have as many tokens as the model: with another one every text would be read
// and written wrong.
func (r *Run) Tokenizer() (*tokenizer.Tokenizer, error) {
	path := filepath.Join(r.Folder, TokenizerFile)
	tok, err := tokenizer.Load(path)
	if err != nil {
		return nil, fmt.Errorf("%w; restore it from a copy, such as an export of the run", err)
	}
	if has, wants := tok.VocabSize(), r.Info.Config.Resolved().Model.Vocab; has != wants {
		return nil, fmt.Errorf("load tokenizer %s: it has %d tokens and the model %d; take the tokenizer and the vocab that the run was trained with", path, has, wants)
	}
	return tok, nil
}

// Model builds the run's model, without weights.
func (r *Run) Model() (*models.Model, error) { return models.New(r.Info.Config.Model) }

// Tuned says whether the run was trained to answer, by conversations or by rewards.
func (r *Run) Tuned() bool { return r.Info.Conversations != nil || r.Info.RL != nil }

// resumes says whether a command continues the run, or which one does.
func (r *Run) resumes(command string) error {
	what, with := "it was trained on text", "train"
	switch {
	case r.Info.RL != nil:
		what, with = "it is being trained on rewards", "rl"
	case r.Info.Conversations != nil:
		what, with = "it is being tuned on conversations", "sft"
	}
	rest := ""
	switch command {
	case with:
		if _, err := os.Stat(filepath.Join(r.Folder, runlog.MetricsFile)); errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("resume %s: it is an export, which can be tuned but not resumed; name the run that it was copied from", r.Name)
		}
		return nil
	case "sft", "rl":
		rest = ", or tune it without --resume"
	}
	return fmt.Errorf("resume %s: %s; continue it with: workbench %s %s --resume%s", r.Name, what, with, r.Reference(), rest)
}

// Reference is what a command line calls the run: its name, or where it is not below runs/ its path.
func (r *Run) Reference() string { return Reference(r.Name, r.Folder) }

// Reference is Run.Reference of a run that is known by its name and folder.
func Reference(name, folder string) string {
	if absolute(RunFolder(name)) == absolute(folder) {
		return name
	}
	return folder
}

// RunFolder is where a run with that name, or at that path, lives.
func RunFolder(name string) string {
	if strings.ContainsRune(name, filepath.Separator) {
		return PlainPath(name)
	}
	return filepath.Join(RunsFolder, name)
}

// PlainPath is a path without a separator at its end, and still a path.
func PlainPath(path string) string {
	if !strings.HasSuffix(path, string(filepath.Separator)) {
		return path
	}
	path = filepath.Clean(path)
	return filepath.Dir(path) + string(filepath.Separator) + filepath.Base(path)
}

// taken is the error of a new run whose folder is there already.
func taken(name string) error {
	folder := RunFolder(name)
	if stat, err := os.Stat(folder); err != nil || !stat.IsDir() {
		return fmt.Errorf("make run %q: %s is not a folder; move it away, or choose another --run NAME", name, folder)
	}
	return fmt.Errorf("make run %q: %s exists; continue it with --resume, or choose another --run NAME", name, folder)
}

// checkNew refuses a new run whose folder is there already or could not be made, so that this is known before the work and
// not after it. "" is a run that will be named by newRun.
func checkNew(name string) error {
	what, folder := "make a run", RunsFolder
	if name != "" {
		what, folder = fmt.Sprintf("make run %q", name), RunFolder(name)
		if _, err := os.Lstat(folder); err == nil {
			return taken(name)
		}
	}
	if err := runlog.Writable(folder); err != nil {
		return fmt.Errorf("%s: %w; make it a folder that can be written, or give --run a path elsewhere", what, err)
	}
	return nil
}

// newRun makes the folder of a new run. Without a name it takes the first free NAME-001, NAME-002, …
func newRun(name, base string) (*Run, error) {
	parent := RunsFolder
	if name != "" {
		parent = filepath.Dir(RunFolder(name))
	}
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return nil, fmt.Errorf("make folder %s: %w", parent, err)
	}
	for i := 1; ; i++ {
		folder := filepath.Join(RunsFolder, fmt.Sprintf("%s-%03d", base, i))
		if name != "" {
			folder = RunFolder(name)
		}
		err := os.Mkdir(folder, 0o755)
		switch {
		case err == nil:
			return &Run{Name: filepath.Base(folder), Folder: folder}, nil
		case !errors.Is(err, fs.ErrExist):
			return nil, fmt.Errorf("make run %s: %w", folder, err)
		case name != "":
			return nil, taken(name)
		}
	}
}

// openMetrics opens the run's metrics to go on with them.
func (r *Run) openMetrics(say func(string)) (*runlog.Writer, error) {
	log, dropped, err := runlog.Open(filepath.Join(r.Folder, runlog.MetricsFile))
	if dropped > 0 {
		say(fmt.Sprintf("metrics of %s: dropped %d bytes of a line that was cut short", r.Name, dropped))
	}
	return log, err
}

// removeAfter removes the folder of a new run that could not be made whole.
func (r *Run) removeAfter(err *error) {
	if *err != nil {
		os.RemoveAll(r.Folder)
	}
}

// describe fills in run.json.
func (r *Run) describe(c *config.Config, device *xla.Device, model *models.Model, unigram float64, command []string) {
	r.Info = Info{
		Name: r.Name, Created: time.Now().UTC(), Config: c, Pattern: c.Model.Pattern.String(), Seed: c.Train.Seed,
		Backend: device.Config, Reason: device.Reason, Parameters: model.Parameters(), UnigramBPB: unigram,
		Versions: versions(), Command: command,
	}
}

// versions lists Go's, this module's and its main dependencies'.
func versions() map[string]string {
	found := map[string]string{}
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return found
	}
	found["go"] = build.GoVersion
	for _, dependency := range build.Deps {
		if strings.HasPrefix(dependency.Path, "github.com/gomlx/") {
			found[strings.TrimPrefix(dependency.Path, "github.com/")] = dependency.Version
		}
	}
	for _, setting := range build.Settings {
		if setting.Key == "vcs.revision" || setting.Key == "GOEXPERIMENT" {
			found[setting.Key] = setting.Value
		}
	}
	return found
}
