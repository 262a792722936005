// Package lab is the workbench as a library: what notebooks, the REPL and the command line all call. It wires the other
// packages together (a corpus to a tokenizer, shards to batches, a model to a device, a run to its folder) and holds no
// algorithm of its own. It never imports cli, repl, web, notebook or speedrun.
//
// What a notebook's cell calls begins with Model, Train and Compare; cell.go says how such calls show things and fail.
// They work in any program.
package lab
