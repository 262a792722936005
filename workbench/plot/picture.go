package plot

import (
	"bytes"
	"errors"
	"fmt"
	"image/color"
	"os"
	"path/filepath"
	"strings"

	gonum "gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Picture is one of Curves, Heat, Attention, Stack and Row. String describes it in words, for where nothing can be drawn.
type Picture interface {
	fmt.Stringer
	// size is in points, 72 an inch.
	size() (width, height vg.Length)
	draw(canvas draw.Canvas) error
}

// Extensions lists what Save writes.
var Extensions = []string{".svg", ".png"}

// pixelsPerInch of PNG files: twice a screen's, for they are looked at closely.
const pixelsPerInch = 192

func init() { gonum.DefaultFont = font.Font{Typeface: "Liberation", Variant: "Sans"} }

// SVG draws a picture on white, for readers of dark pages too, as an element to be put into HTML. Its letters are those of
// the reader's machine.
func SVG(p Picture) (string, error) {
	width, height := p.size()
	canvas := vgsvg.NewWith(vgsvg.UseWH(width, height))
	box(draw.New(canvas), 0, 0, width, height, color.White)
	if err := paint(p, canvas); err != nil {
		return "", err
	}
	var text bytes.Buffer
	if _, err := canvas.WriteTo(&text); err != nil {
		return "", fmt.Errorf("draw as SVG: %w", err)
	}
	// HTML wants the element alone, and a reader without the fonts a family of the same kind.
	_, element, _ := strings.Cut(text.String(), "<svg")
	return "<svg" + strings.ReplaceAll(element, "font-family:Liberation Sans;", "font-family:'Liberation Sans',Arial,sans-serif;"), nil
}

// PNG draws a picture on white.
func PNG(p Picture) ([]byte, error) {
	width, height := p.size()
	canvas := vgimg.NewWith(vgimg.UseWH(width, height), vgimg.UseDPI(pixelsPerInch), vgimg.UseBackgroundColor(color.White))
	if err := paint(p, canvas); err != nil {
		return nil, err
	}
	var data bytes.Buffer
	if _, err := (vgimg.PngCanvas{Canvas: canvas}).WriteTo(&data); err != nil {
		return nil, fmt.Errorf("draw as PNG: %w", err)
	}
	return data.Bytes(), nil
}

// CheckPath reports a name that Save will refuse.
func CheckPath(path string) error {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".svg", ".png":
		return nil
	}
	return fmt.Errorf("save picture %q: unknown kind of file; the name must end in one of %s", path, strings.Join(Extensions, ", "))
}

// Save draws a picture to a file; its extension says how.
func Save(path string, p Picture) error {
	if err := CheckPath(path); err != nil {
		return err
	}
	var data []byte
	var err error
	if strings.EqualFold(filepath.Ext(path), ".png") {
		data, err = PNG(p)
	} else {
		var svg string
		svg, err = SVG(p)
		data = []byte(`<?xml version="1.0" encoding="UTF-8"?>` + "\n" + svg)
	}
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		return fmt.Errorf("save picture: %w", err)
	}
	return nil
}

// paint draws on a canvas; the library panics where it cannot, which becomes an error.
func paint(p Picture, canvas vg.CanvasSizer) (err error) {
	defer func() {
		if caught := recover(); caught != nil {
			err = fmt.Errorf("draw a picture: %v", caught)
		}
	}()
	return p.draw(draw.New(canvas))
}

// Row draws pictures side by side, and goes on below where a line is full.
type Row []Picture

// rowWidth is the most that stands in a line: three curves.
const rowWidth = 13 * vg.Inch

func (r Row) String() string {
	var texts []string
	for _, p := range r {
		texts = append(texts, p.String())
	}
	return strings.Join(texts, "\n")
}

func (r Row) size() (width, height vg.Length) {
	width, height = 1, 1 // of an empty row, for the canvas that its error comes from
	for i, at := range r.places() {
		w, h := r[i].size()
		width, height = max(width, at.X+w), max(height, at.Y+h)
	}
	return width, height
}

// places are the pictures' upper left corners, down from that of the row.
func (r Row) places() []vg.Point {
	places := make([]vg.Point, len(r))
	var next vg.Point
	var tallest vg.Length
	for i, p := range r {
		w, h := p.size()
		if next.X > 0 && next.X+w > rowWidth {
			next, tallest = vg.Point{Y: next.Y + tallest}, 0
		}
		places[i] = next
		next.X, tallest = next.X+w, max(tallest, h)
	}
	return places
}

func (r Row) draw(canvas draw.Canvas) error {
	if len(r) == 0 {
		return errors.New("draw a row of pictures: it has none")
	}
	for i, at := range r.places() {
		width, height := r[i].size()
		left, top := canvas.Min.X+at.X, canvas.Max.Y-at.Y
		part := canvas
		part.Rectangle = vg.Rectangle{Min: vg.Point{X: left, Y: top - height}, Max: vg.Point{X: left + width, Y: top}}
		if err := r[i].draw(part); err != nil {
			return err
		}
	}
	return nil
}

// palette is Okabe and Ito's, which people with any colour vision can tell apart.
var palette = []color.RGBA{
	{0, 114, 178, 255}, {230, 159, 0, 255}, {0, 158, 115, 255}, {213, 94, 0, 255},
	{204, 121, 167, 255}, {86, 180, 233, 255}, {0, 0, 0, 255}, {240, 228, 66, 255},
}

func paletteColor(i int) color.RGBA { return palette[i%len(palette)] }
