// Package train owns training: the compiled step, the optimizers and their parameter groups, schedules, the guard
// against bad updates, and the loop with its hooks. It imports models, xla, data, checkpoint and runlog; never eval,
// chat or config.
package train
