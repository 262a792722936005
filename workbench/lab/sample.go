package lab

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"

	"tandem/models"
	"tandem/workbench/checkpoint"
	"tandem/workbench/generate"
	"tandem/workbench/tokenizer"
	"tandem/xla"
)

// SampleOptions say what to continue, and how.
type SampleOptions struct {
	// Prompt is continued; it may be empty.
	Prompt string
	// Tokens is the number of tokens to add at most; 0 is 64.
	Tokens int
	// Temperature 0 takes the likeliest token; TopK 0 and TopP 0 are no limit.
	Temperature float64
	TopK        int
	TopP        float64
	Seed        uint64
}

// Validate reports the first option that cannot be, without a model.
func (o SampleOptions) Validate() error {
	if o.Tokens < 0 {
		return fmt.Errorf("sample: tokens %d: may not be negative; 0 is the default", o.Tokens)
	}
	if err := o.sampling().Validate(); err != nil {
		return fmt.Errorf("sample: %w", err)
	}
	return nil
}

func (o SampleOptions) sampling() generate.Sampling {
	return generate.Sampling{Temperature: o.Temperature, TopK: o.TopK, TopP: o.TopP, Seed: o.Seed}
}

// Sample continues a prompt with a run's newest checkpoint. Each piece of text is passed to emit, if that is not nil, as
// it comes. The result is prompt and continuation.
func Sample(ctx context.Context, run *Run, backend string, o SampleOptions, say func(string), emit func(string)) (string, error) {
	tok, err := run.Tokenizer()
	if err != nil {
		return "", err
	}
	model, err := run.Model()
	if err != nil {
		return "", err
	}
	device, err := xla.Open(backend)
	if err != nil {
		return "", err
	}
	defer device.Finalize()
	weights, skipped, err := loadWeights(run, model, device)
	for _, bad := range skipped {
		say("skipped checkpoint " + bad.String())
	}
	if err != nil {
		return "", err
	}
	o = o.resolved()
	prompt := tok.AppendEncode([]int32{tok.BOS()}, o.Prompt)
	if len(prompt) >= model.Config.Context {
		return "", fmt.Errorf("sample: the prompt has %d tokens and the model's context is %d; shorten it, or train with a longer context", len(prompt), model.Config.Context)
	}
	capacity := min(model.Config.Context, len(prompt)+o.Tokens)
	engine, err := generate.New(device, model, weights, generate.Options{Capacity: capacity})
	if err != nil {
		return "", err
	}
	defer engine.Close()
	return continueText(ctx, engine, tok, o, emit)
}

func (o SampleOptions) resolved() SampleOptions {
	if o.Tokens == 0 {
		o.Tokens = 64
	}
	return o
}

// loadWeights puts the newest valid checkpoint's weights on the device, in the order of model.Weights().
func loadWeights(run *Run, model *models.Model, device *xla.Device) ([]*tensors.Tensor, []checkpoint.Skipped, error) {
	weights, _, skipped, err := newestWeights(run, model, device)
	return weights, skipped, err
}

// newestWeights is loadWeights, and says which checkpoint it took.
func newestWeights(run *Run, model *models.Model, device *xla.Device) ([]*tensors.Tensor, checkpoint.Entry, []checkpoint.Skipped, error) {
	snapshot, entry, skipped, err := checkpoint.LatestModel(run.Folder)
	if err != nil {
		return nil, entry, skipped, err
	}
	saved, err := weightsOf(model, snapshot.Model)
	if err != nil {
		return nil, entry, skipped, fmt.Errorf("load %s: %w", entry.Dir, err)
	}
	var weights []*tensors.Tensor
	for i, weight := range model.Weights() {
		tensor := saved[i]
		loaded, err := tensors.FromRaw(device.Backend, 0, shapeOf(weight), tensor.Widened().Data) // an export is narrow
		if err != nil {
			return nil, entry, skipped, fmt.Errorf("load %s: %q: %w", entry.Dir, weight.Name, err)
		}
		weights = append(weights, loaded)
	}
	return weights, entry, skipped, nil
}

// weightsOf puts a checkpoint's tensors in the order of model.Weights(), if they are that model's.
func weightsOf(model *models.Model, saved []checkpoint.Tensor) (ordered []checkpoint.Tensor, err error) {
	named := map[string]checkpoint.Tensor{}
	for _, tensor := range saved {
		named[tensor.Name] = tensor
	}
	for _, weight := range model.Weights() {
		tensor, ok := named[weight.Name]
		if !ok || !slices.Equal(tensor.Shape, weight.Shape) {
			return nil, fmt.Errorf("%q has shape %v there and %v in the model of run.json; the checkpoint is of another architecture", weight.Name, tensor.Shape, weight.Shape)
		}
		ordered = append(ordered, tensor)
	}
	return ordered, nil
}

// continueText generates after a prompt, from a fresh state.
func continueText(ctx context.Context, engine *generate.Engine, tok *tokenizer.Tokenizer, o SampleOptions, emit func(string)) (string, error) {
	prompt := tok.AppendEncode([]int32{tok.BOS()}, o.Prompt)
	var text strings.Builder
	text.WriteString(o.Prompt)
	options := generate.GenerateOptions{
		MaxTokens: o.Tokens, Stop: []int32{tok.BOS()}, Sampling: o.sampling(),
	}
	for token, err := range engine.Generate(ctx, [][]int32{prompt}, options) {
		if err != nil {
			return text.String(), err
		}
		if token.Finish != "" {
			break
		}
		piece := tok.Decode([]int32{token.ID})
		text.WriteString(piece)
		if emit != nil {
			emit(piece)
		}
	}
	return text.String(), nil
}

func shapeOf(weight models.Weight) shapes.Shape { return shapes.Make(weight.DType, weight.Shape...) }
