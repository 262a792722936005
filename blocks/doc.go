// Package blocks owns the layers: one block kind per file, with its configuration, weights, forward pass, decode step,
// state and cost, and the registry that lists the kinds. It imports xla and nothing else of this module; nothing here
// knows what a model, a tokenizer or a training is.
//
// Axes in tensor names: B batch, T time, D width, I inner (expand·width), N state, R rank of Δ, W convolution taps,
// H query heads, G key/value heads, E channels of a head, C capacity of a key/value cache, Q chunk of the scan.
package blocks
