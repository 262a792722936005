//go:build cgo

package xla

// ReadLimits is readLimits, for tests with a fake that is made in C.
var ReadLimits = readLimits
