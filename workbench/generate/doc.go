// Package generate owns tokens in, tokens out: feeding prompts to a model's state, decoding token by token, sampling,
// stop rules, the batch that requests join and leave while it runs, and states kept between requests. It imports models
// and xla, and never a tokenizer: text is other packages' business. Nothing here knows a block kind by name; all it asks
// a model for is State and Extend.
//
// Read engine.go first, then scheduler.go (the loop), batch.go (the rows it decodes), step.go and sample.go (the graph).
//
// An error ends the requests that it concerns, each with that error, and the engine goes on with the others and with new
// ones. An error of a prompt that is being fed concerns the rows fed together. On a device that runs ahead it may show only
// when the tokens of the batch are read that the prompt has just joined, whose state is then lost as a whole: the rows that have
// not drawn a token yet end, and the others are fed again from the tokens that the host knows, which costs nothing until it
// happens (Engine.loseBatch). Where every row has drawn, none is likelier to be the cause than another, and all end.
//
// Axes in tensor names: B rows of the batch, V token ids, S stop tokens, F sampling options, K tokens a trip.
package generate
