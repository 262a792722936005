package plot

import (
	"image/color"

	gonum "gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// curveWidth is that of a line in points.
const curveWidth = vg.Length(1.6)

// legend names lines below a chart, where it covers none of them.
type legend struct {
	style   draw.TextStyle
	entries []legendEntry
	rows    int
}

type legendEntry struct {
	name  string
	color color.Color
	x     vg.Length // from the left end
	row   int
}

// Sizes of a legend, in points.
const (
	legendRow    = vg.Length(13)
	legendMargin = vg.Length(8)
	legendSample = vg.Length(16) // the piece of line before a name
	legendGap    = vg.Length(14)
	// legendSlack is room for the letters of the reader's machine, which may be wider than those measured here.
	legendSlack = 1.1
)

// legend places the names of the lines that have points, in as many rows as it takes.
func (c Curves) legend(width vg.Length) legend {
	style := gonum.New().Legend.TextStyle
	style.Font.Size, style.YAlign = 9, draw.YCenter
	l := legend{style: style}
	x := legendMargin
	for i, line := range c.Lines {
		if line.Name == "" || len(line.finite()) == 0 {
			continue
		}
		name := legendName(line.Name)
		takes := legendSample + 4 + legendSlack*style.Width(name)
		if l.rows == 0 {
			l.rows = 1
		} else if x+takes > width-legendMargin {
			x, l.rows = legendMargin, l.rows+1
		}
		l.entries = append(l.entries, legendEntry{name, paletteColor(i), x, l.rows - 1})
		x += takes + legendGap
	}
	return l
}

func (l legend) height() vg.Length { return vg.Length(l.rows) * legendRow }

// draw writes the legend along the bottom of a canvas.
func (l legend) draw(canvas draw.Canvas) {
	for _, entry := range l.entries {
		x, y := canvas.Min.X+entry.x, canvas.Min.Y+l.height()-(vg.Length(entry.row)+0.5)*legendRow+2
		canvas.StrokeLine2(draw.LineStyle{Color: entry.color, Width: curveWidth}, x, y, x+legendSample, y)
		canvas.FillText(l.style, vg.Point{X: x + legendSample + 4, Y: y}, entry.name)
	}
}

// legendLetters is the most of a name that is written.
const legendLetters = 40

// legendName keeps both ends of a long name, which tell runs apart.
func legendName(name string) string {
	runes := []rune(name)
	if len(runes) <= legendLetters {
		return name
	}
	const start = legendLetters / 2
	return string(runes[:start]) + "…" + string(runes[len(runes)-(legendLetters-start-1):])
}
