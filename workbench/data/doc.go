// Package data turns text into training batches: corpora of documents,
// tokenised shards cached on disk, rows packed without waste, and an iterator
// over batches that can be resumed at the exact batch.
//
// Owns: the corpus forms that Open knows, the presets, mixtures, the train/validation split, the shard
// format, the packing, and the iterator's State.
//
// Never imports: models, backends, configuration; of ours at most hub and
// tokenizer, and the latter not even now, for an Encoder is all it needs.
//
// Read corpus.go first, then the way of the text: tokenize.go (documents to
// shards), shards.go (reading them back), pack.go (documents to rows) and
// batches.go (rows to batches, and resuming). masked.go and masked_batches.go do
// the same for documents of which only a part is learned, in memory and whole.
package data
