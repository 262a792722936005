// Package eval measures what a model has learned: bits per byte, multiple choice and language modelling with in-context
// examples (CORE), tasks of conversation, and how sure all of these numbers are.
//
// Owns: scoring many continuations in few batches (score.go), tasks and their files, metrics with confidence intervals,
// comparisons, and the report. Its folders own the sandbox for generated code and the synthetic probes.
//
// Never imports: train, checkpoint, config, or anything that shows a result.
//
// Read score.go first, then core.go and prompt.go (CORE), choice.go, math.go, code.go and godoc.go (conversations), report.go.
package eval
