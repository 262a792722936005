// Package runlog keeps what a run tells about itself: metrics as JSON lines, and run.json.
//
// Owns: runs/NAME/metrics.jsonl (its writer, its reader, summaries and smoothing), runs/NAME/run.json and lock, and the list
// of runs.
// Never imports: anything of ours; beyond the standard library only flock, for the lock.
// Read first: record.go, which says what a line looks like.
//
// The metrics are append-only. A run that resumes from step N writes a record of kind "resume" with step N, and from
// there on everything earlier with a later step no longer counts: Read leaves it out, ReadAll does not.
package runlog
