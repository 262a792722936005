package plot

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	gonum "gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Curves is a chart of lines over common axes.
type Curves struct {
	// Title stands above, X and Y name the axes.
	Title, X, Y string
	Lines       []Line
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

func (c Curves) size() (width, height vg.Length) { return 4.2 * vg.Inch, 2.8 * vg.Inch }

func (c Curves) draw(canvas draw.Canvas) error {
	p := axes(c.Title, c.X, c.Y)
	p.Add(plotter.NewGrid())
	drawn, rising := 0, 0 // the legend stands where the lines are not: they rise or fall
	for i, line := range c.Lines {
		points := line.finite()
		if len(points) == 0 {
			continue
		}
		drawn++
		if points[len(points)-1].Y > points[0].Y {
			rising++
		} else {
			rising--
		}
		curve, err := plotter.NewLine(points)
		if err != nil {
			return fmt.Errorf("draw line %q: %w", line.Name, err)
		}
		curve.Color, curve.Width = paletteColor(i), 1.6
		p.Add(curve)
		entry := []gonum.Thumbnailer{curve}
		if line.Points || len(points) == 1 {
			marks, err := plotter.NewScatter(points)
			if err != nil {
				return fmt.Errorf("draw line %q: %w", line.Name, err)
			}
			marks.GlyphStyle = draw.GlyphStyle{Color: paletteColor(i), Radius: 2.5, Shape: draw.CircleGlyph{}}
			p.Add(marks)
			entry = append(entry, marks)
		}
		if line.Name != "" {
			p.Legend.Add(legendName(line.Name), entry...)
		}
	}
	if drawn == 0 { // the library needs some range
		p.X.Max, p.Y.Max = 1, 1
	}
	p.Legend.Top, p.Legend.Left = true, true
	if rising <= 0 {
		p.Legend.XOffs = c.legendOffset()
	}
	p.Draw(inset(canvas))
	return nil
}

// legendLetters is the most of a name that fits beside its line.
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

// legendOffset moves the legend to the right end. It stays left of its text, whose letters may be wider where it is shown
// than the library thinks.
func (c Curves) legendOffset() vg.Length {
	const axis, thumbnail, letter = 62, 16, 5.5
	longest := 0
	for _, line := range c.Lines {
		longest = max(longest, min(legendLetters, utf8.RuneCountInString(line.Name)))
	}
	width, _ := c.size()
	return max(0, width-axis-thumbnail-vg.Length(longest)*letter)
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
	p.Legend.TextStyle.Font.Size, p.Legend.ThumbnailWidth, p.Legend.Padding = 9, 16, 1
	return p
}

// ticks are the library's, with labels of as many digits as it takes to tell them apart: 3250, not 3250.00.
type ticks struct{}

// Ticks implements gonum's Ticker.
func (ticks) Ticks(low, high float64) []gonum.Tick {
	all := gonum.DefaultTicks{}.Ticks(low, high)
	for i, tick := range all {
		if !tick.IsMinor() {
			all[i].Label = strconv.FormatFloat(tick.Value, 'g', 6, 64)
		}
	}
	return all
}

// inset leaves a margin.
func inset(canvas draw.Canvas) draw.Canvas { return draw.Crop(canvas, 4, -6, 4, -4) }
