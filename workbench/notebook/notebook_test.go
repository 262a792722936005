package notebook

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tandem/workbench/lab"
	"tandem/workbench/plot"
)

// whole is a panel with everything in it, and letters that HTML gives a meaning.
func whole() lab.Panel {
	return lab.Panel{
		Title: "a <title>", Picture: plot.Curves{Title: "loss & more", Lines: []plot.Line{{Name: "<T>", X: []float64{1, 2}, Y: []float64{2, 1}}}},
		Tables: []lab.Table{{Heading: []string{"part", "n<2"}, Rows: [][]string{{"a", "1"}}}},
		Grid:   &lab.Grid{Title: "memory", XName: "batch", YName: "context", X: []string{"1", "2"}, Y: []string{"3"}, Cells: [][]string{{"4 \"GiB\""}, {"5"}}},
		Note:   "one & two", Text: "a\n\nb<script>",
	}
}

// wellFormed reads HTML as XML, which ours is but for the words that stand alone.
func wellFormed(t *testing.T, html string) {
	t.Helper()
	html = regexp.MustCompile(`<input ([^>]*)>`).ReplaceAllString(html, "<input $1/>")
	decoder := xml.NewDecoder(strings.NewReader("<div>" + html + "</div>"))
	var err error
	for err == nil {
		_, err = decoder.Token()
	}
	require.ErrorIs(t, err, io.EOF, html)
}

func TestAPanelIsWellFormedAndEscapesWhatItIsGiven(t *testing.T) {
	html := panelHTML(whole())
	wellFormed(t, html)
	require.NotContains(t, html, "<script>")
	require.NotContains(t, html, "<title>")
	for _, part := range []string{"<svg", "<table ", `type="range"`, "one &amp; two", "a\n\nb&lt;script&gt;"} {
		require.Contains(t, html, part)
	}
}

func TestNothingThatIsShownNeedsTheNetwork(t *testing.T) {
	html := panelHTML(whole()) + talkHTML("question", "answer", false)
	html = strings.NewReplacer("http://www.w3.org/2000/svg", "", "http://www.w3.org/1999/xlink", "").Replace(html) // names, not addresses
	require.NotRegexp(t, `https?://|src=|@import|url\(`, html)
}

func TestAnErrorStandsInABoxWithItsNoteAboveIt(t *testing.T) {
	html := panelHTML(lab.Panel{Err: errors.New("column 5: <X>"), Note: "T12 X8\n    ^"})
	wellFormed(t, html)
	require.Contains(t, html, "T12 X8\n    ^\nerror: column 5: &lt;X&gt;")
	require.Equal(t, 1, strings.Count(html, "T12"))
}

func TestAPictureThatCannotBeDrawnIsAnErrorInItsPlace(t *testing.T) {
	require.Contains(t, panelHTML(lab.Panel{Picture: plot.Heat{Title: "state"}}), "there are no values")
}

func TestAnAnswerHasACursorUntilItEnds(t *testing.T) {
	wellFormed(t, talkHTML("a<b", "c&d", false))
	require.Contains(t, talkHTML("q", "answer", false), "answer▍")
	require.NotContains(t, talkHTML("q", "answer", true), "▍")
}

func TestTheSlidersBeginInTheMiddle(t *testing.T) {
	var out strings.Builder
	writeSliders(&out, *whole().Grid)
	wellFormed(t, out.String())
	require.Contains(t, out.String(), `<div style="font-size:1.4em"><output>5</output>`)
}

// JupyterLab takes arrow keys for itself unless the element that has the focus bears this attribute; one around it is too late.
func TestArrowKeysMoveTheSlidersInJupyterLab(t *testing.T) {
	require.Equal(t, 2, strings.Count(panelHTML(whole()), `<input type="range" data-lm-suppress-shortcuts="" `))
}

func TestCellsRunInTheCloneAroundTheirNotebook(t *testing.T) {
	here, err := os.Getwd()
	require.NoError(t, err)
	clone, err := cloneAround(here)
	require.NoError(t, err)
	require.Equal(t, filepath.Dir(filepath.Dir(here)), clone)

	outside := t.TempDir()
	_, err = cloneAround(outside)
	require.ErrorContains(t, err, "there is none")
	require.ErrorContains(t, err, FolderVariable)

	t.Chdir(outside)
	t.Setenv(FolderVariable, filepath.Join(outside, "missing"))
	require.ErrorIs(t, enterFolder(here), os.ErrNotExist)
	t.Setenv(FolderVariable, "")
	require.NoError(t, enterFolder(here))
	now, err := os.Getwd()
	require.NoError(t, err)
	require.Equal(t, clone, now)
}
