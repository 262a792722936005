package plot

import (
	"fmt"
	"image/color"
	"math"
	"strings"

	gonum "gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Stack is a picture of a model's layers, the first at the left.
type Stack struct {
	// Title stands above.
	Title  string
	Layers []Layer
}

// Layer is one box.
type Layer struct {
	// Label is written in the box, Kind in the legend.
	Label, Kind string
	// Color numbers the kind's colour, so that it is the same in all pictures.
	Color int
}

const (
	boxWidth, boxHeight = vg.Length(26), vg.Length(44)
	boxGap              = vg.Length(5)
	// boxesPerLine is where a deep stack goes on below.
	boxesPerLine = 24
	stackMargin  = vg.Length(10)
	titleHeight  = vg.Length(22)
	legendHeight = vg.Length(20)
)

// String writes the labels in order.
func (s Stack) String() string {
	labels := make([]string, len(s.Layers))
	for i, layer := range s.Layers {
		labels[i] = layer.Label
	}
	return s.Title + ": " + strings.Join(labels, " → ")
}

func (s Stack) lines() int { return (len(s.Layers) + boxesPerLine - 1) / boxesPerLine }

func (s Stack) size() (width, height vg.Length) {
	columns := vg.Length(max(14, min(len(s.Layers), boxesPerLine)))
	return 2*stackMargin + columns*(boxWidth+boxGap), titleHeight + legendHeight + vg.Length(s.lines())*(boxHeight+2*boxGap)
}

func (s Stack) draw(canvas draw.Canvas) error {
	if len(s.Layers) == 0 {
		return fmt.Errorf("draw stack %q: it has no layers", s.Title)
	}
	colors := map[string]color.RGBA{}
	var kinds []string
	for _, layer := range s.Layers {
		if _, known := colors[layer.Kind]; !known {
			colors[layer.Kind] = paletteColor(layer.Color)
			kinds = append(kinds, layer.Kind)
		}
	}
	left, top := canvas.Min.X+stackMargin, canvas.Max.Y
	write(canvas, left, top-titleHeight/2, 11, text.XLeft, color.Black, s.Title)
	for i, layer := range s.Layers {
		x := left + vg.Length(i%boxesPerLine)*(boxWidth+boxGap)
		y := top - titleHeight - vg.Length(i/boxesPerLine)*(boxHeight+2*boxGap) - boxHeight
		if i > 0 && i%boxesPerLine > 0 { // what flows from layer to layer
			canvas.StrokeLine2(draw.LineStyle{Color: color.Gray{120}, Width: 1}, x-boxGap, y+boxHeight/2, x, y+boxHeight/2)
		}
		box(canvas, x, y, boxWidth, boxHeight, colors[layer.Kind])
		write(canvas, x+boxWidth/2, y+boxHeight/2, 11, text.XCenter, color.White, layer.Label)
	}
	y := canvas.Min.Y + legendHeight/2
	for _, kind := range kinds {
		box(canvas, left, y-4, 8, 8, colors[kind])
		style := write(canvas, left+12, y, 9, text.XLeft, color.Black, kind)
		left += 12 + style.Width(kind) + 14
	}
	return nil
}

func box(canvas draw.Canvas, x, y, width, height vg.Length, fill color.Color) {
	canvas.FillPolygon(fill, []vg.Point{{X: x, Y: y}, {X: x + width, Y: y}, {X: x + width, Y: y + height}, {X: x, Y: y + height}})
}

// write puts text at (x, y), centred in height.
func write(canvas draw.Canvas, x, y vg.Length, size font.Length, align text.XAlignment, ink color.Color, words string) draw.TextStyle {
	style := draw.TextStyle{
		Color: ink, Font: font.From(gonum.DefaultFont, size), XAlign: align, YAlign: text.YCenter, Handler: gonum.DefaultTextHandler,
	}
	canvas.FillText(style, vg.Point{X: x, Y: y}, words)
	return style
}

// writeDown puts text below (x, y), turned so that it ends there.
func writeDown(canvas draw.Canvas, x, y vg.Length, size font.Length, words string) {
	style := draw.TextStyle{
		Color: color.Black, Font: font.From(gonum.DefaultFont, size), Rotation: math.Pi / 2, XAlign: text.XRight, YAlign: text.YCenter,
		Handler: gonum.DefaultTextHandler,
	}
	canvas.FillText(style, vg.Point{X: x, Y: y}, words)
}
