// Package checkpoint is the on-disk format of a saved training step: atomic, checksummed, resumable.
//
// Owns: the safetensors files, the directory RUN/step-000500 with its manifest, and the rules by which a
// checkpoint appears, is trusted, is skipped and is deleted.
// Never imports: anything of ours, nor any graph library. Tensors are named bytes here.
// Read first: save.go, whose comment lists the steps that make a save atomic.
//
// A checkpoint is four files:
//
//	RUN/step-000500/model.safetensors      weights, and the snapshot's metadata
//	RUN/step-000500/optimizer.safetensors  moments and whatever else the optimizer keeps
//	RUN/step-000500/state.json             the trainer's own loop state, stored as given
//	RUN/step-000500/manifest.json          size and sha256 of the other three, written last
//
// Beside them a run may hold, for a moment or after a crash, RUN/.tmp-* (a save that has not finished, or a
// deletion that has not) and RUN/step-000500.replaced (the previous content of a step that is being saved again).
package checkpoint
