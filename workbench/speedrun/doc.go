// Package speedrun makes a chat from nothing in one call: a tokenizer, a base model, its tuning on conversations, evaluations
// and a report. It owns the plan (every value derived from one dial, with its formula), what stands in a speedrun's folder, and
// which stage is to be made, resumed or skipped. What a stage does is lab's.
//
// It never imports cli, repl, web or session.
// Read first: speedrun.go, then plan.go.
package speedrun
