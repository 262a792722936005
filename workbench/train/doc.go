// Package train owns training: the compiled step, the optimizers and their parameter groups, schedules, the guard
// against bad updates, the loop with its hooks, and training on rewards (rl.go). It imports models, xla, checkpoint and
// runlog; never eval, chat or config.
package train
