package plot

import (
	"fmt"
	"image"
	"image/color"
	"math"
	"strings"
	"unicode/utf8"

	"gonum.org/v1/plot/palette/moreland"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Attention is a picture of how the tokens of a text look back: a square with a row for each, the first at the top, and a
// column for each that it may look at. The darker a cell, the larger its weight; colours follow the square root, so that
// small weights can be told apart.
type Attention struct {
	// Title stands above.
	Title string
	// Tokens label rows and columns. Where there are more than fit, and where they are nil, positions do; the picture of
	// nil is a small one.
	Tokens []string
	// Weights are, for each token t, t+1 numbers from 0 to 1: those of the tokens 0 to t. NaN stays blank.
	Weights [][]float64
}

const (
	attentionTop    = vg.Length(34) // of title and scale
	attentionMargin = vg.Length(10)
	attentionSmall  = vg.Length(168)
	// A labelled square has attentionCell a token, between attentionLeast and attentionMost.
	attentionCell, attentionLeast, attentionMost = vg.Length(9), vg.Length(160), vg.Length(320)
	// labelSize is of letters at most, and labelCell the height of a row that can have its label.
	labelSize, labelCell = vg.Length(7.5), vg.Length(6.5)
	// textTokens is the most tokens that String draws.
	textTokens = 64
)

// shades are the letters of weights from 0 to 1.
const shades = "·░▒▓█"

// weightColors are those from 1 to 0, with others between them.
var weightColors = []color.Color{color.RGBA{8, 29, 68, 255}, color.RGBA{0, 100, 165, 255}, color.RGBA{120, 185, 225, 255}, color.RGBA{236, 243, 249, 255}}

// String draws the square of labelled tokens with letters if there are not too many, and else names its largest weight.
func (a Attention) String() string {
	if len(a.Tokens) > 0 && len(a.Tokens) == len(a.Weights) && len(a.Tokens) <= textTokens {
		return a.square()
	}
	from, at, most := 0, 0, 0.0
	for t, row := range a.Weights {
		for s, weight := range row[:max(0, len(row)-1)] {
			if weight > most {
				from, at, most = t, s, weight
			}
		}
	}
	if from == 0 {
		return fmt.Sprintf("%s (%d tokens): none looks back", a.Title, len(a.Weights))
	}
	return fmt.Sprintf("%s (%d tokens): the most that one gives an earlier one is %.2f, by %d to %d", a.Title, len(a.Weights), most, from, at)
}

// square is a line a token: its label, and a letter for each that it looks at.
func (a Attention) square() string {
	widest, letters := 0, []rune(shades)
	for _, token := range a.Tokens {
		widest = max(widest, utf8.RuneCountInString(token))
	}
	var out strings.Builder
	fmt.Fprintf(&out, "%s (%s from 0 to 1)", a.Title, shades)
	for t, row := range a.Weights {
		fmt.Fprintf(&out, "\n%s%s ", strings.Repeat(" ", widest-utf8.RuneCountInString(a.Tokens[t])), a.Tokens[t])
		for _, weight := range row {
			letter := ' '
			if !math.IsNaN(weight) {
				letter = letters[shade(weight, len(letters))]
			}
			out.WriteRune(letter)
		}
	}
	return out.String()
}

// shade numbers the shade of a weight, of so many.
func shade(weight float64, count int) int {
	return int(math.Round(math.Sqrt(min(max(weight, 0), 1)) * float64(count-1)))
}

// side is the square's.
func (a Attention) side() vg.Length {
	if a.Tokens == nil {
		return attentionSmall
	}
	return min(max(vg.Length(len(a.Weights))*attentionCell, attentionLeast), attentionMost)
}

func (a Attention) cell() vg.Length { return a.side() / vg.Length(len(a.Weights)) }

// labelled tells whether each token is.
func (a Attention) labelled() bool { return a.Tokens != nil && a.cell() >= labelCell }

// margin is the room for labels, left and below.
func (a Attention) margin() vg.Length {
	if !a.labelled() {
		return 24
	}
	longest := 0
	for _, token := range a.Tokens {
		longest = max(longest, utf8.RuneCountInString(token))
	}
	return 12 + vg.Length(longest)*labelSize*0.6 // as wide as letters are on average
}

func (a Attention) size() (width, height vg.Length) {
	if len(a.Weights) == 0 { // for the canvas that its error comes from
		return attentionSmall, attentionSmall
	}
	return a.margin() + a.side() + 2*attentionMargin, attentionTop + a.side() + a.margin()
}

func (a Attention) draw(canvas draw.Canvas) error {
	if len(a.Weights) == 0 {
		return fmt.Errorf("draw %q: there are no weights", a.Title)
	}
	if a.Tokens != nil && len(a.Tokens) != len(a.Weights) {
		return fmt.Errorf("draw %q: there are %d tokens and weights of %d", a.Title, len(a.Tokens), len(a.Weights))
	}
	for t, row := range a.Weights {
		if len(row) != t+1 {
			return fmt.Errorf("draw %q: token %d has %d weights; it may look at %d tokens", a.Title, t, len(row), t+1)
		}
	}
	scale, err := moreland.NewLuminance(weightColors)
	if err != nil {
		return fmt.Errorf("draw %q: %w", a.Title, err)
	}
	scale.SetMin(0)
	scale.SetMax(1)
	colors := scale.Palette(256).Colors() // dark first
	left, top := canvas.Min.X+attentionMargin+a.margin(), canvas.Max.Y-attentionTop
	square := vg.Rectangle{Min: vg.Point{X: left, Y: top - a.side()}, Max: vg.Point{X: left + a.side(), Y: top}}
	canvas.DrawImage(square, a.cells(colors))
	a.drawLabels(canvas, square)
	write(canvas, left, top+20, 10, text.XLeft, color.Black, a.Title)
	drawScale(canvas, square.Max.X, top+20, colors)
	return nil
}

// cells is the square as an image, blank where a token may not look. Cells that are large have gaps between them.
func (a Attention) cells(colors []color.Color) image.Image {
	const pixels, large, gap = 768, 12, 2
	each := max(1, pixels/len(a.Weights))
	filled := each
	if each >= large {
		filled -= gap
	}
	picture := image.NewRGBA(image.Rect(0, 0, each*len(a.Weights), each*len(a.Weights)))
	for t, row := range a.Weights {
		for s, weight := range row {
			if math.IsNaN(weight) {
				continue
			}
			ink := colors[len(colors)-1-shade(weight, len(colors))]
			for y := range filled {
				for x := range filled {
					picture.Set(s*each+x, t*each+y, ink)
				}
			}
		}
	}
	return picture
}

// drawLabels names the rows at the left and the columns below.
func (a Attention) drawLabels(canvas draw.Canvas, square vg.Rectangle) {
	cell, step, size := a.cell(), 1, min(labelSize, a.cell()*0.9)
	if !a.labelled() {
		size = labelSize
		for _, factor := range []int{2, 5, 10, 20, 50, 100, 200, 500, 1000} {
			if step*8 < len(a.Weights) {
				step = factor
			}
		}
	}
	for t := 0; t < len(a.Weights); t += step {
		label := fmt.Sprint(t)
		if a.labelled() {
			label = a.Tokens[t]
		}
		at := (vg.Length(t) + 0.5) * cell
		gap := 4 + vg.Length(utf8.RuneCountInString(label))*size*0.04 // letters may be wider where they are shown
		write(canvas, square.Min.X-gap, square.Max.Y-at, size, text.XRight, color.Black, label)
		if a.labelled() {
			writeDown(canvas, square.Min.X+at, square.Min.Y-gap, size, label)
		} else {
			write(canvas, square.Min.X+at, square.Min.Y-8, size, text.XCenter, color.Black, label)
		}
	}
}

// drawScale says what the colours mean, left of x.
func drawScale(canvas draw.Canvas, x, y vg.Length, colors []color.Color) {
	const width, height, pixels = vg.Length(60), vg.Length(6), 4
	bar := image.NewRGBA(image.Rect(0, 0, int(width)*pixels, int(height)*pixels)) // of the place's proportions, which SVG keeps
	for i := range bar.Rect.Dx() {
		ink := colors[len(colors)-1-i*len(colors)/bar.Rect.Dx()]
		for j := range bar.Rect.Dy() {
			bar.Set(i, j, ink)
		}
	}
	x -= width
	canvas.DrawImage(vg.Rectangle{Min: vg.Point{X: x, Y: y}, Max: vg.Point{X: x + width, Y: y + height}}, bar)
	for _, weight := range []float64{0, 0.1, 0.4, 1} {
		write(canvas, x+vg.Length(math.Sqrt(weight))*width, y-6, 6.5, text.XCenter, color.Black, fmt.Sprint(weight))
	}
}
