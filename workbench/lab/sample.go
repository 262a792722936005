package lab

import (
	"context"
	"fmt"
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
	saved := map[string]checkpoint.Tensor{}
	for _, tensor := range snapshot.Model {
		saved[tensor.Name] = tensor
	}
	var weights []*tensors.Tensor
	for _, weight := range model.Weights() {
		tensor, ok := saved[weight.Name]
		if !ok || fmt.Sprint(tensor.Shape) != fmt.Sprint(weight.Shape) {
			return nil, entry, skipped, fmt.Errorf("load %s: %q has shape %v there and %v in the model of run.json; the checkpoint is of another architecture", entry.Dir, weight.Name, tensor.Shape, weight.Shape)
		}
		loaded, err := tensors.FromRaw(device.Backend, 0, shapeOf(weight), tensor.Widened().Data) // an export is narrow
		if err != nil {
			return nil, entry, skipped, fmt.Errorf("load %s: %q: %w", entry.Dir, weight.Name, err)
		}
		weights = append(weights, loaded)
	}
	return weights, entry, skipped, nil
}

// continueText generates after a prompt, from a fresh state.
func continueText(ctx context.Context, engine *generate.Engine, tok *tokenizer.Tokenizer, o SampleOptions, emit func(string)) (string, error) {
	prompt := tok.AppendEncode([]int32{tok.BOS()}, o.Prompt)
	var text strings.Builder
	text.WriteString(o.Prompt)
	options := generate.GenerateOptions{
		MaxTokens: o.Tokens, Stop: []int32{tok.BOS()},
		Sampling: generate.Sampling{Temperature: o.Temperature, TopK: o.TopK, TopP: o.TopP, Seed: o.Seed},
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
