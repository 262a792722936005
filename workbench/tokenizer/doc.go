// Package tokenizer turns text into token ids and back: byte-level BPE with
// nine special tokens, trained here or loaded from a Hugging Face
// tokenizer.json.
//
// Owns: the split pattern, BPE training, encoding, decoding, the special
// tokens, and the reading and writing of tokenizer.json.
//
// Never imports: anything but the standard library.
//
// Read tokenizer.go first, then split.go (text to pieces) and encode.go (a
// piece to ids); train.go, count.go and learn.go make the merges.
package tokenizer
