package lab

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"tandem/models"
	"tandem/workbench/plot"
	"tandem/xla"
)

const (
	// attentionTokens is the most that ShowAttention takes: its pictures have a cell for each pair of tokens.
	attentionTokens = 256
	// labelledHeads is the most heads whose pictures are large enough for tokens.
	labelledHeads = 4
	// labelLetters is the most of a token that is written beside a picture.
	labelLetters = 12
	// unset is no number of a layer or head.
	unset = math.MinInt
)

// Attention is how the tokens of a text look back at one another in a run's transformer blocks.
type Attention struct {
	// Tokens are <|bos|> and those of the text, spelled so that spaces and line breaks can be seen.
	Tokens []string
	// Layers are the layers of the pattern that have attention weights, numbered from 0, and Weights theirs, by layer in
	// that order, head, query t and key: those of a query are t+1 numbers, for the tokens 0 to t, which sum to 1.
	Layers  []int
	Weights [][][][]float64

	run         *Run
	model       *models.Model
	layer, head int // to draw, or unset
	err         error
}

// AttentionOption says what ShowAttention draws.
type AttentionOption func(*Attention)

// Layer is the layer to draw, numbered from 0 as in a checkpoint's names; without it the first that has attention.
func Layer(number int) AttentionOption { return func(a *Attention) { a.layer = number } }

// Head is the one head to draw, numbered from 0, in a large picture; without it all are drawn.
func Head(number int) AttentionOption { return func(a *Attention) { a.head = number } }

// ShowAttention runs a run's newest checkpoint over a text of at most 256 tokens, in float32 on the run's backend, and draws
// the attention weights of one layer: how much each token takes from itself and each before it, by head. Tables tell how
// far and how evenly the heads of all layers look back. A pattern without T has none to show.
func ShowAttention(run *Run, text string, options ...AttentionOption) *Attention {
	a := &Attention{run: run, layer: unset, head: unset, err: run.err}
	if a.err != nil {
		return a
	}
	for _, option := range options {
		option(a)
	}
	if err := a.compute(text); err != nil {
		a.err = fail(fmt.Errorf("show attention of %s: %w", run.Name, err))
		return a
	}
	return a.Show()
}

// Err is why there are no weights.
func (a *Attention) Err() error { return a.err }

// Show draws the weights and the tables again.
func (a *Attention) Show() *Attention {
	if a.err != nil {
		return a
	}
	display.Show(Panel{Picture: a.Picture(), Tables: a.tables(), Note: a.note()})
	return a
}

// Picture draws the weights: a row looks at the columns.
func (a *Attention) Picture() plot.Picture {
	var row plot.Row
	if a.err != nil {
		return row
	}
	weights := a.Weights[slices.Index(a.Layers, a.layer)]
	first, last := 0, len(weights)-1
	if a.head != unset {
		first, last = a.head, a.head
	}
	var labels []string
	if last-first < labelledHeads {
		labels = a.Tokens
	}
	for head := first; head <= last; head++ {
		row = append(row, plot.Attention{Title: fmt.Sprintf("layer %d, head %d", a.layer, head), Tokens: labels, Weights: weights[head]})
	}
	return row
}

// Save draws the weights to a .svg or .png file.
func (a *Attention) Save(path string) error {
	if a.err != nil {
		return a.err
	}
	return plot.Save(path, a.Picture())
}

// compute fills in the tokens and the weights; what can be refused without a device is refused first.
func (a *Attention) compute(text string) (err error) {
	if a.model, err = a.run.Model(); err != nil {
		return err
	}
	if err := a.chooseLayer(); err != nil {
		return err
	}
	tok, err := a.run.Tokenizer()
	if err != nil {
		return err
	}
	ids := tok.AppendEncode([]int32{tok.BOS()}, text)
	switch most := min(attentionTokens, a.model.Config.Context); {
	case len(ids) == 1:
		return fmt.Errorf("the text %q is empty; give one for its tokens to look back at", text)
	case len(ids) > most:
		return fmt.Errorf("the text has %d tokens with its <|bos|>; at most %d can be drawn with a context of %d, so shorten it",
			len(ids), most, a.model.Config.Context)
	}
	for _, id := range ids {
		a.Tokens = append(a.Tokens, visible(tok.Token(id)))
	}
	return a.weigh(ids)
}

// chooseLayer finds out which layers there are, and checks the one to draw.
func (a *Attention) chooseLayer() error {
	pattern := a.model.Config.Pattern
	a.Layers = a.model.AttentionLayers()
	switch {
	case len(a.Layers) == 0:
		return fmt.Errorf("pattern %s has no T layer, so no weights to draw; its layers carry a state instead: %s; lab.ShowScan shows how", pattern, a.others())
	case a.layer == unset:
		a.layer = a.Layers[0]
	case !slices.Contains(a.Layers, a.layer):
		return fmt.Errorf("layer %d: of the layers 0 to %d of %s, those with attention are %s", a.layer, pattern.Depth()-1, pattern, ranges(a.Layers))
	}
	return nil
}

// weigh runs the model over the tokens.
func (a *Attention) weigh(ids []int32) error {
	device, err := xla.Open(a.run.Info.Config.Backend)
	if err != nil {
		return err
	}
	defer device.Finalize()
	arguments, skipped, err := loadWeights(a.run, a.model, device)
	for _, bad := range skipped {
		display.Show(Panel{Note: "skipped checkpoint " + bad.String()})
	}
	if err != nil {
		return err
	}
	arguments = append(arguments, tensors.FromFlatDataAndDimensions(ids, 1, len(ids)))
	var declared []xla.Input
	for i, argument := range arguments {
		declared = append(declared, xla.Input{Name: fmt.Sprintf("argument%d", i), Shape: argument.Shape()})
	}
	program, err := xla.Compile(device, "show attention", declared, func(_ *graph.Graph, in []*graph.Node) []*graph.Node {
		last := len(in) - 1
		return a.model.Attention(dtypes.Float32, in[:last], in[last])
	})
	if err != nil {
		return err
	}
	defer program.Close()
	outputs, err := program.Run(arguments...)
	if err != nil {
		return err
	}
	for _, layer := range outputs {
		heads, err := triangles(layer)
		if err != nil {
			return err
		}
		if a.head != unset && (a.head < 0 || a.head >= len(heads)) {
			return fmt.Errorf("head %d: layer %d has the heads 0 to %d", a.head, a.layer, len(heads)-1)
		}
		a.Weights = append(a.Weights, heads)
	}
	return nil
}

// triangles takes what a query may see from weights [1,H,T,T]; the rest is 0.
func triangles(weights *tensors.Tensor) ([][][]float64, error) {
	flat, err := tensors.CopyFlatData[float32](weights)
	if err != nil {
		return nil, err
	}
	tokens := weights.Shape().Dim(-1)
	heads := make([][][]float64, weights.Shape().Dim(1))
	for h := range heads {
		for t := range tokens {
			var row []float64
			for _, weight := range flat[(h*tokens+t)*tokens:][:t+1] {
				row = append(row, float64(weight))
			}
			heads[h] = append(heads[h], row)
		}
	}
	return heads, nil
}

// visible spells a token: a space as ·, what cannot be printed as in Go's strings, and the end of a long one as ….
func visible(token []byte) string {
	quoted := strconv.Quote(string(token))
	text := strings.NewReplacer(" ", "·", `\"`, `"`, `\\`, `\`).Replace(quoted[1 : len(quoted)-1])
	if runes := []rune(text); len(runes) > labelLetters {
		return string(runes[:labelLetters-1]) + "…"
	}
	return text
}
