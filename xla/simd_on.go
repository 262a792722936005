//go:build goexperiment.simd && amd64

package xla

// SIMD tells whether this program was built with GOEXPERIMENT=simd, which the Go backend's matrix products need to be fast.
const SIMD = true
