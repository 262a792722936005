package tests

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tandem/workbench/plot"
)

// pictures are those of docs/hybrids.md. Each is of the first table below a heading: a column is a line, the last number of a
// row's first cell where its points stand.
var pictures = map[string]struct {
	heading string
	plot.Curves
	// of are the columns to draw, each its pattern and what it counts, by which unit is divided.
	of   []string
	unit float64
}{
	"speed.svg": {"## Training speed", plot.Curves{Title: "Training, 32,768 tokens a pass", X: "context, tokens", Y: "thousand tokens/s", Doubling: true},
		[]string{"T20, tokens/s", "(TM)10, tokens/s", "M20, tokens/s"}, 1e3},
	"state.svg": {"## State in decoding", plot.Curves{Title: "State of one conversation", X: "context, tokens", Y: "MB"},
		[]string{"T20, bytes a row", "M20, bytes a row"}, 1e6},
}

// table is the first one below a heading, its heading row first.
func table(t *testing.T, text, heading string) (rows [][]string) {
	t.Helper()
	_, below, found := strings.Cut(text, heading+"\n")
	require.True(t, found, heading)
	for line := range strings.Lines(below) {
		if !strings.HasPrefix(line, "|") {
			if rows != nil {
				return rows
			}
			continue
		}
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		rows = append(rows, cells)
	}
	return rows
}

var lastNumber = regexp.MustCompile(`[\d,.]+$`)

func number(t *testing.T, cell string) float64 {
	t.Helper()
	value, err := strconv.ParseFloat(strings.ReplaceAll(lastNumber.FindString(cell), ",", ""), 64)
	require.NoError(t, err, "cell %q", cell)
	return value
}

func TestThePicturesOfHybridsShowItsTables(t *testing.T) {
	text, err := os.ReadFile("../docs/hybrids.md")
	require.NoError(t, err)
	for name, picture := range pictures {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, string(text), "](hybrids/"+name+")")
			rows := table(t, string(text), picture.heading)
			for column, heading := range rows[0] {
				for _, wanted := range picture.of {
					if heading != wanted {
						continue
					}
					pattern, _, _ := strings.Cut(heading, ",")
					line := plot.Line{Name: pattern, Points: true}
					for _, row := range rows[2:] {
						if row[column] != "" {
							line.X, line.Y = append(line.X, number(t, row[0])), append(line.Y, number(t, row[column])/picture.unit)
						}
					}
					picture.Lines = append(picture.Lines, line)
				}
			}
			require.Len(t, picture.Lines, len(picture.of))
			path, fresh := filepath.Join("..", "docs", "hybrids", name), filepath.Join(t.TempDir(), name)
			if os.Getenv("UPDATE_PICTURES") != "" {
				fresh = path
			}
			require.NoError(t, plot.Save(fresh, picture.Curves))
			want, err := os.ReadFile(fresh)
			require.NoError(t, err)
			got, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, string(want), string(got), "draw it anew: UPDATE_PICTURES=1 go test ./tests -run Pictures")
		})
	}
}
