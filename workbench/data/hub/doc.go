// Package hub speaks the protocol of the Hugging Face hub, as far as reading datasets needs it: what files a dataset
// has, which of them are a split, and how to get them whole into the cache that the hub's own tools use.
//
// Owns: the environment variables of the hub, its HTTP API, retries, resuming, checksums and the layout of its cache.
//
// Never imports: anything of ours. It knows nothing of documents; files are bytes to it.
//
// Read client.go first, then dataset.go (what there is), choose.go (which files are a split) and download.go.
//
// The hub package of go-huggingface is not used: version 0.4.0 starts every download anew, keeps nothing of one that
// was cut off, refuses redirects, checks no sums, and asks the network even when all is in the cache.
package hub
