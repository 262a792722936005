package plot

import (
	"fmt"
	"math"
	"strings"

	gonum "gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Curves is a chart of lines over common axes.
type Curves struct {
	// Title stands above, X and Y name the axes.
	Title, X, Y string
	// Doubling makes X, all above 0, an axis on which each doubling is as long.
	Doubling bool
	// Settling lets the first twentieth of X run out of the picture, for what falls steeply there not to flatten the rest.
	Settling bool
	Lines    []Line
}

// Line is one curve through (X[i], Y[i]). Points that are not finite are left out.
type Line struct {
	Name string
	X, Y []float64
	// Points marks each point, for few of them.
	Points bool
}

// maxPoints is what a line is thinned to: more than the dots of a screen show nothing more.
const maxPoints = 500

// String gives each line's first and last point.
func (c Curves) String() string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s (%s against %s)", c.Title, c.Y, c.X)
	for _, line := range c.Lines {
		points, name := line.finite(), line.Name
		if name != "" {
			name += ": "
		}
		if len(points) == 0 {
			fmt.Fprintf(&text, "\n  %sno point yet", name)
			continue
		}
		first, last := points[0], points[len(points)-1]
		fmt.Fprintf(&text, "\n  %s%.4g at %.4g to %.4g at %.4g", name, first.Y, first.X, last.Y, last.X)
	}
	return text.String()
}

// size grows by the legend, for the lines to keep their room.
func (c Curves) size() (width, height vg.Length) {
	width = 4.2 * vg.Inch
	return width, 2.6*vg.Inch + c.legend(width).height()
}

func (c Curves) draw(canvas draw.Canvas) error {
	p := axes(c.Title, c.X, c.Y)
	if c.Doubling {
		p.X.Scale, p.X.Tick.Marker = gonum.LogScale{}, doublings{}
	}
	p.Add(plotter.NewGrid())
	drawn := 0
	for i, line := range c.Lines {
		points := line.finite()
		if len(points) == 0 {
			continue
		}
		drawn++
		curve, err := plotter.NewLine(points)
		if err != nil {
			return fmt.Errorf("draw line %q: %w", line.Name, err)
		}
		curve.Color, curve.Width = paletteColor(i), curveWidth
		p.Add(curve)
		if line.Points || len(points) == 1 {
			marks, err := plotter.NewScatter(points)
			if err != nil {
				return fmt.Errorf("draw line %q: %w", line.Name, err)
			}
			marks.GlyphStyle = draw.GlyphStyle{Color: paletteColor(i), Radius: 2.5, Shape: draw.CircleGlyph{}}
			p.Add(marks)
		}
	}
	if c.Settling {
		p.Y.Max = c.settled(p.X.Min, p.X.Max)
	}
	if drawn == 0 { // the library needs some range
		p.X.Min, p.X.Max, p.Y.Max = 1, 2, 1
	}
	legend := c.legend(canvas.Max.X - canvas.Min.X)
	p.Draw(inset(draw.Crop(canvas, 0, 0, legend.height(), 0)))
	legend.draw(canvas)
	return nil
}

// settled is the highest point behind the first twentieth of X.
func (c Curves) settled(from, to float64) float64 {
	highest := math.Inf(-1)
	for _, line := range c.Lines {
		for _, point := range line.finite() {
			if point.X >= from+(to-from)/20 {
				highest = max(highest, point.Y)
			}
		}
	}
	return highest
}

// finite are the points that can be drawn, at most maxPoints, the last among them.
func (l Line) finite() plotter.XYs {
	var all plotter.XYs
	for i := range min(len(l.X), len(l.Y)) {
		if !math.IsNaN(l.X[i]+l.Y[i]) && !math.IsInf(l.X[i]+l.Y[i], 0) {
			all = append(all, plotter.XY{X: l.X[i], Y: l.Y[i]})
		}
	}
	if len(all) <= maxPoints {
		return all
	}
	thin := make(plotter.XYs, maxPoints)
	for i := range thin {
		thin[i] = all[i*(len(all)-1)/(maxPoints-1)]
	}
	return thin
}

// axes are a chart's title and axes, in the sizes of a small picture.
func axes(title, x, y string) *gonum.Plot {
	p := gonum.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, x, y
	p.X.Tick.Marker, p.Y.Tick.Marker = ticks{}, ticks{}
	p.Title.TextStyle.Font.Size, p.Title.Padding = 11, 4
	p.X.Label.TextStyle.Font.Size, p.Y.Label.TextStyle.Font.Size = 9, 9
	p.X.Tick.Label.Font.Size, p.Y.Tick.Label.Font.Size = 8, 8
	return p
}

// inset leaves a margin.
func inset(canvas draw.Canvas) draw.Canvas { return draw.Crop(canvas, 4, -6, 4, -4) }
