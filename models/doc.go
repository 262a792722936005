// Package models owns the architecture: a pattern of block kinds becomes a stack of blocks between an embedding and a
// head, with its configuration, initial weights, loss, decoding state, counts and costs. It imports blocks and xla, and
// never anything under workbench.
//
// The model is: token embedding → norm → blocks → norm → head → cap·tanh(logits/cap).
package models
