// Package notebook shows in a Jupyter cell what lab's calls have to show: HTML tables, SVG pictures that change in place,
// streamed answers. A notebook imports it for its effect alone:
//
//	import _ "tandem/workbench/notebook"
//
// Where GoNB runs the program, that sets lab's display, lets lab use a session, and makes the clone's root the working
// folder, so that notebooks and the command line see the same runs. Elsewhere it does nothing.
//
// It owns the HTML and is the only importer of gonbui. It needs no network to display: what it sends is HTML and SVG
// without links. It never imports cli, and is never linked into the workbench.
package notebook
