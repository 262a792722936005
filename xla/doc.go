// Package xla owns the accelerator: it opens a backend, compiles graphs into programs and runs them, and holds the one
// mechanism for operations whose gradient (and, on CUDA, whose kernel) we write ourselves.
//
// It is also the border where panics end: GoMLX reports mistakes in graph-building code by panicking, and every entry
// point here turns that into an error. It imports nothing else of this module.
package xla
