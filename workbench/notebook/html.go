package notebook

import (
	"fmt"
	"html"
	"strings"

	"tandem/workbench/lab"
	"tandem/workbench/plot"
)

// Colours are given where text lies on a background of ours; elsewhere the front-end's theme rules.
const (
	pictureStyle  = "background:#fff;border-radius:4px;padding:4px;margin:4px 0;display:inline-block;max-width:100%;overflow-x:auto"
	problemStyle  = "background:#fdecea;color:#611a15;border-left:4px solid #d32f2f;padding:6px 10px;margin:4px 0;white-space:pre-wrap;font-family:monospace"
	textStyle     = "white-space:pre-wrap;font-family:monospace;margin:4px 0;padding:6px 10px;border-left:3px solid #888;max-width:80ch"
	questionStyle = "background:#0072b2;color:#fff;border-radius:10px;padding:6px 12px;margin:4px 0 4px 15%;width:fit-content;max-width:70%;margin-left:auto;white-space:pre-wrap"
	tableStyle    = "margin:4px 0 10px" // VS Code would set tables without a gap
	answerStyle   = "background:#eee;color:#000;border-radius:10px;padding:6px 12px;margin:4px 0;width:fit-content;max-width:70%;white-space:pre-wrap"
)

// panelHTML renders a panel.
func panelHTML(p lab.Panel) string {
	var out strings.Builder
	if p.Title != "" {
		fmt.Fprintf(&out, "<div><b>%s</b></div>", html.EscapeString(p.Title))
	}
	if p.Picture != nil {
		svg, err := plot.SVG(p.Picture)
		if err != nil {
			fmt.Fprintf(&out, `<div style="%s">%s</div>`, problemStyle, html.EscapeString(err.Error()))
		} else {
			fmt.Fprintf(&out, `<div style="%s">%s</div>`, pictureStyle, svg)
		}
	}
	for _, table := range p.Tables {
		writeTable(&out, table)
	}
	if p.Grid != nil {
		writeSliders(&out, *p.Grid)
	}
	if p.Err == nil && p.Note != "" {
		fmt.Fprintf(&out, `<div style="white-space:pre-wrap">%s</div>`, html.EscapeString(p.Note))
	}
	if p.Text != "" {
		fmt.Fprintf(&out, `<div style="%s">%s</div>`, textStyle, html.EscapeString(p.Text))
	}
	if p.Err != nil {
		text := "error: " + p.Err.Error()
		if p.Note != "" {
			text = p.Note + "\n" + text
		}
		fmt.Fprintf(&out, `<div style="%s">%s</div>`, problemStyle, html.EscapeString(text))
	}
	return out.String()
}

// writeTable aligns the first column left and the others, which are numbers mostly, right.
func writeTable(out *strings.Builder, table lab.Table) {
	align := func(column int) string {
		if column == 0 {
			return "left"
		}
		return "right"
	}
	fmt.Fprintf(out, `<table style="%s"><thead><tr>`, tableStyle)
	for i, cell := range table.Heading {
		fmt.Fprintf(out, `<th style="text-align:%s">%s</th>`, align(i), html.EscapeString(cell))
	}
	out.WriteString("</tr></thead><tbody>")
	for _, row := range table.Rows {
		out.WriteString("<tr>")
		for i, cell := range row {
			fmt.Fprintf(out, `<td style="text-align:%s">%s</td>`, align(i), html.EscapeString(cell))
		}
		out.WriteString("</tr>")
	}
	out.WriteString("</tbody></table>")
}

// talkHTML renders one exchange; an answer that is not done has a cursor.
func talkHTML(question, answer string, done bool) string {
	if !done {
		answer += "▍"
	}
	return fmt.Sprintf(`<div><div style="%s">%s</div><div style="%s">%s</div></div>`,
		questionStyle, html.EscapeString(question), answerStyle, html.EscapeString(answer))
}
