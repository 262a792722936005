package lab

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"tandem/models"
	"tandem/workbench/config"
	"tandem/workbench/data"
	"tandem/workbench/runlog"
	"tandem/workbench/tokenizer"
	"tandem/workbench/train"
	"tandem/xla"
)

// Event is one thing that happens in a training; its kinds follow.
type Event = train.Event

// The kinds of Event.
const (
	EventStep   = runlog.KindStep
	EventEval   = runlog.KindEval
	EventSample = runlog.KindSample
	EventSave   = runlog.KindSave
)

// ErrInterrupted is what TrainConfig returns when its context was cancelled.
var ErrInterrupted = train.ErrInterrupted

// Interruption is ErrInterrupted in the words of work that has no checkpoint.
type Interruption string

func (i Interruption) Error() string { return string(i) }

func (i Interruption) Unwrap() error { return ErrInterrupted }

// Account is a model's parameters by part.
type Account struct {
	Pattern string `json:"pattern"`
	models.Account
}

// Params counts the parameters of a configured model. Nothing is allocated.
func Params(c *config.Config) (Account, error) {
	model, err := models.New(c.Model)
	if err != nil {
		return Account{}, err
	}
	return Account{Pattern: model.Config.Pattern.String(), Account: model.Account()}, nil
}

// Runs lists the runs under runs/, newest first. No runs are an empty list, in JSON too.
func Runs() ([]runlog.Run, error) {
	runs, err := runlog.List(RunsFolder)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return append([]runlog.Run{}, runs...), err
}

// TrainTokenizer trains a tokenizer on the training split of a corpus.
func TrainTokenizer(ctx context.Context, spec string, vocab int) (*tokenizer.Tokenizer, error) {
	corpus, err := data.Open(spec)
	if err != nil {
		return nil, err
	}
	return tokenizer.Train(limited(ctx, data.Texts(corpus, data.Train), tokenizerBytes), vocab)
}

// OpenTokenizer reads the tokenizer of a run, or a tokenizer.json.
func OpenTokenizer(reference string) (*tokenizer.Tokenizer, error) {
	if info, err := os.Stat(reference); err == nil && !info.IsDir() && filepath.Ext(reference) == ".json" {
		return tokenizer.Load(reference)
	}
	run, err := OpenRun(reference)
	if err != nil {
		return nil, err
	}
	return run.Tokenizer()
}

// Stack is the stack of the panic that an error came from, if it came from one.
func Stack(err error) []byte {
	var caught *xla.PanicError
	if errors.As(err, &caught) {
		return caught.Stack
	}
	return nil
}
