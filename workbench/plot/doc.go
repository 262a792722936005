// Package plot owns pictures: curves, heat maps, attention and the stack of a model, as SVG and PNG files or strings. It is
// the only importer of gonum/plot, which has its fonts inside, imports nothing of ours, and needs no network.
// Read picture.go first.
package plot
