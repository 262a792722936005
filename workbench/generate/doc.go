// Package generate owns tokens in, tokens out: feeding prompts to a model's state, decoding token by token, sampling,
// stop rules, the batch that requests join and leave while it runs, and states kept between requests. It imports models
// and xla, and never a tokenizer: text is other packages' business. Nothing here knows a block kind by name; all it asks
// a model for is State and Extend.
//
// Read engine.go first, then scheduler.go (the loop), batch.go (the rows it decodes), step.go and sample.go (the graph).
//
// Axes in tensor names: B rows of the batch, V token ids, S stop tokens, F sampling options, K tokens a trip.
package generate
