// Package probe makes synthetic tasks that separate what attention does easily from what a state of fixed size does.
//
// Owns: the probes (sequences of tokens with targets), models of equal size to compare on them, accuracy over lengths, and
// the table of a comparison. Training and plots are the caller's.
//
// Never imports: train, or anything under workbench.
//
// Read probe.go first, then tasks.go.
package probe
