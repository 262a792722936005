// Package ref owns plain float64 references of the selective scan and of every block: loops over rows, tokens and
// channels on a tape that differentiates by itself, so that neither a value nor a gradient shares a formula with the
// graphs it is compared to. It is slow and meant for tests. It imports the standard library and must never import
// anything of this module. Read tape.go first.
//
// A document is a run of tokens with the same number. Padding is the tokens at and after a row's length: every result
// is zero there, and nothing reads them. Arguments of a wrong shape panic, for only a test can pass them.
package ref
