package probe

import (
	"context"
	"fmt"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"tandem/models"
	"tandem/xla"
)

// Accuracy counts targets that a model found likeliest.
type Accuracy struct {
	Right, All int
	// ByDepth counts them by the quarter of the sequence in which the answer stood.
	ByDepth [quarters]Share
}

// Share is right ones of all.
type Share struct {
	Right int `json:"right"`
	All   int `json:"all"`
}

const quarters = 4

// evaluationSeed keeps the examples of evaluation apart from those of training.
const evaluationSeed = 0xE7A1

// tokensAtOnce bounds a batch of evaluation.
const tokensAtOnce = 8192

// Measure asks a model, of weights in the order of model.Weights(), about examples sequences of a length; they are the same
// for every model. The model's context must hold the length.
func (p Probe) Measure(ctx context.Context, device *xla.Device, model *models.Model, weights []*tensors.Tensor, length, examples int) (a Accuracy, err error) {
	if length > model.Config.Context {
		return a, fmt.Errorf("probe %s: length %d exceeds the model's context %d", p.Name, length, model.Config.Context)
	}
	rows := min(examples, max(1, tokensAtOnce/length))
	var inputs []xla.Input
	for _, weight := range model.Weights() {
		inputs = append(inputs, xla.Input{Name: weight.Name, Shape: shapes.Make(weight.DType, weight.Shape...)})
	}
	inputs = append(inputs, xla.Input{Name: "tokens", Shape: shapes.Make(dtypes.Int32, rows, length)})
	program, err := xla.Compile(device, "probe", inputs, func(_ *Graph, nodes []*Node) []*Node {
		logitsBTV := model.Forward(device.Compute, nodes[:len(nodes)-1], nodes[len(nodes)-1], nil)
		return []*Node{ArgMax(logitsBTV, -1, dtypes.Int32)}
	})
	if err != nil {
		return a, err
	}
	defer program.Close()
	for number := 0; number*rows < examples; number++ {
		if err := ctx.Err(); err != nil {
			return a, err
		}
		tokens, targets, depths := p.Batch(evaluationSeed, uint64(number), rows, length)
		batch := tensors.FromFlatDataAndDimensions(tokens, rows, length)
		outputs, err := program.Run(append(append([]*tensors.Tensor{}, weights...), batch)...)
		_ = batch.FinalizeAll()
		if err != nil {
			return a, err
		}
		likeliest, err := tensors.CopyFlatData[int32](outputs[0])
		_ = outputs[0].FinalizeAll()
		if err != nil {
			return a, fmt.Errorf("probe %s: read the likeliest tokens: %w", p.Name, err)
		}
		for row := range min(rows, examples-number*rows) { // of the last batch only as many as were asked for
			a.count(likeliest[row*length:(row+1)*length], targets[row*length:(row+1)*length], depths[row])
		}
	}
	return a, nil
}

func (a *Accuracy) count(likeliest, targets []int32, depths []float64) {
	asked := 0
	for at, target := range targets {
		if target < 0 {
			continue
		}
		share := &a.ByDepth[min(quarters-1, int(depths[asked]*quarters))]
		asked++
		a.All++
		share.All++
		if likeliest[at] == target {
			a.Right++
			share.Right++
		}
	}
}

// widthStep is the grid of widths, and of a head's channels.
const widthStep = 8

// heads is how many a model of a width has, of 64 to 120 channels, or one of a width below. Normed queries and keys of E
// channels agree by √E at most, and most by nothing: of n tokens a head can give one e^√E / (e^√E + n) of its attention. With
// 16 channels that is half of it at 55 tokens, with 64 at 2,981.
func heads(width int) int { return max(1, width/64) }

// step is what a pattern's width must be a multiple of near this width.
func step(pattern models.Pattern, width int) int {
	if strings.Contains(string(pattern), "T") {
		return widthStep * heads(width)
	}
	return widthStep
}

// Equal makes a model of each pattern, with as many parameters as that of the first pattern at a width, as near as widths in
// steps of 8, or with attention 8 for each head, allow. context is the longest sequence they will see.
func (p Probe) Equal(patterns []models.Pattern, width, context int) ([]*models.Model, error) {
	if multiple := step(patterns[0], width); width < multiple || width%multiple != 0 {
		return nil, fmt.Errorf("probe %s: width %d: must be a multiple of %d", p.Name, width, multiple)
	}
	all := make([]*models.Model, len(patterns))
	for i, pattern := range patterns {
		widths := []int{width}
		if i > 0 {
			widths = nil
			for candidate := widthStep; candidate <= 4*width; candidate += widthStep {
				if candidate%step(pattern, candidate) == 0 {
					widths = append(widths, candidate)
				}
			}
		}
		for _, candidate := range widths {
			model, err := p.model(pattern, candidate, context)
			if err != nil {
				return nil, err
			}
			if all[i] == nil || distance(model, all[0]) < distance(all[i], all[0]) {
				all[i] = model
			}
		}
	}
	return all, nil
}

func distance(a, b *models.Model) int {
	difference := a.Parameters() - b.Parameters()
	return max(difference, -difference)
}

// model has heads for its width where it has attention, for those of the default are wider than these models.
func (p Probe) model(pattern models.Pattern, width, context int) (*models.Model, error) {
	config := models.Config{Pattern: pattern, Width: width, Vocab: p.Vocab, Context: context}
	if err := config.Blocks.UnmarshalJSON(fmt.Appendf(nil, `{"transformer": {"head_dim": %d}}`, width/heads(width))); err != nil {
		return nil, err
	}
	return models.New(config)
}
