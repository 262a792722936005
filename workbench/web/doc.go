// Package web serves a model over HTTP: OpenAI's API for chat and text completions, a chat page, health and metrics.
//
// Owns: reading requests and their limits, errors in OpenAI's shape, plain and streamed answers, the token, the page.
//
// Never imports: lab, cli, models or xla. What it serves is a Model, which package chat makes.
//
// Read options.go first, then server.go (routes), decode.go (requests), completion.go (answers), guard.go (who may ask).
package web
