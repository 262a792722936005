package notebook

import (
	"encoding/json"
	"fmt"
	"html"
	"strings"

	"tandem/workbench/lab"
)

// sliderScript shows the numbers that the two sliders stand on. All numbers are in the page: nothing has to be asked of the
// program, which has ended, and an exported page turns as well.
const sliderScript = `var g=JSON.parse(this.closest('[data-grid]').dataset.grid),e=this.closest('[data-grid]').querySelectorAll('input,output'),x=+e[0].value,y=+e[2].value;e[1].value=g.X[x];e[3].value=g.Y[y];e[4].value=g.Cells[x][y]`

// writeSliders shows a grid with a slider for each side, beside the whole as a table to unfold. The attribute
// data-lm-suppress-shortcuts keeps JupyterLab from taking the arrow keys that move them.
func writeSliders(out *strings.Builder, grid lab.Grid) {
	data, err := json.Marshal(grid)
	if err != nil { // strings always encode
		return
	}
	x, y := len(grid.X)/2, len(grid.Y)/2
	slider := func(name string, values []string, at int) {
		fmt.Fprintf(out, `<div><label style="display:inline-block;width:6em">%s</label><input type="range" data-lm-suppress-shortcuts="" min="0" max="%d" value="%d" oninput="%s"> <output>%s</output></div>`,
			html.EscapeString(name), len(values)-1, at, html.EscapeString(sliderScript), html.EscapeString(values[at]))
	}
	fmt.Fprintf(out, `<div data-grid="%s"><b>%s</b>`, html.EscapeString(string(data)), html.EscapeString(grid.Title))
	slider(grid.XName, grid.X, x)
	slider(grid.YName, grid.Y, y)
	fmt.Fprintf(out, `<div style="font-size:1.4em"><output>%s</output></div></div><details><summary>all of them</summary>`, html.EscapeString(grid.Cells[x][y]))
	writeTable(out, grid.Table())
	out.WriteString("</details>")
}
