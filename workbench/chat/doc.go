// Package chat turns conversations into tokens and tokens into answers.
//
// Owns: messages and their roles, the formats of files of conversations, the template with its loss masks, tools that a
// model calls while it answers, the text of a stream of tokens (whole characters only, stop strings), and states kept from
// one turn to the next.
//
// Never imports: models, xla, or anything that shows or serves a conversation.
//
// Read message.go first, then template.go (messages to tokens), answer.go (tokens to an answer) and session.go;
// read.go reads conversations to learn from, trace.go says how an answer was made.
package chat
