package plot

import (
	"fmt"
	"image/color"
	"math"

	"gonum.org/v1/plot/palette/moreland"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Heat is a picture of numbers as colours, row 0 at the bottom. Values that are not finite stay white.
type Heat struct {
	// Title stands above, X and Y name the axes: columns and rows.
	Title, X, Y string
	// Values are rows of the same length.
	Values [][]float64
}

// String gives the range.
func (h Heat) String() string {
	low, high := h.bounds()
	columns := 0
	if len(h.Values) > 0 {
		columns = len(h.Values[0])
	}
	return fmt.Sprintf("%s (%d %s × %d %s): %.4g to %.4g", h.Title, len(h.Values), h.Y, columns, h.X, low, high)
}

func (h Heat) size() (width, height vg.Length) { return 4.2 * vg.Inch, 2.8 * vg.Inch }

func (h Heat) draw(canvas draw.Canvas) error {
	if len(h.Values) == 0 || len(h.Values[0]) == 0 {
		return fmt.Errorf("draw %q: there are no values", h.Title)
	}
	for i, row := range h.Values {
		if len(row) != len(h.Values[0]) {
			return fmt.Errorf("draw %q: row %d has %d values, row 0 has %d", h.Title, i, len(row), len(h.Values[0]))
		}
	}
	low, high := h.bounds()
	if low == high {
		high = low + 1
	}
	colors := moreland.ExtendedBlackBody()
	if low < 0 && high > 0 { // two directions: white between them
		high = max(high, -low)
		low = -high
		colors = moreland.SmoothBlueRed()
	}
	colors.SetMin(low)
	colors.SetMax(high)
	p := axes(fmt.Sprintf("%s, %.3g to %.3g", h.Title, low, high), h.X, h.Y)
	heat := plotter.NewHeatMap(grid(h.Values), colors.Palette(255))
	heat.Rasterized, heat.NaN = len(h.Values)*len(h.Values[0]) > 400, color.White
	heat.Min, heat.Max = low, high
	p.Add(heat)
	p.Draw(inset(canvas))
	return nil
}

func (h Heat) bounds() (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, row := range h.Values {
		for _, value := range row {
			if !math.IsNaN(value) && !math.IsInf(value, 0) {
				low, high = min(low, value), max(high, value)
			}
		}
	}
	if low > high {
		return 0, 0
	}
	return low, high
}

// grid is what the library draws heat maps from.
type grid [][]float64

func (g grid) Dims() (columns, rows int) { return len(g[0]), len(g) }
func (g grid) X(column int) float64      { return float64(column) }
func (g grid) Y(row int) float64         { return float64(row) }
func (g grid) Z(column, row int) float64 {
	if math.IsInf(g[row][column], 0) {
		return math.NaN()
	}
	return g[row][column]
}
