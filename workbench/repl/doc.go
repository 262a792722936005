// Package repl owns the terminal: the line editor with its history and completion, the loop of a chat, the prompt with the
// workbench's verbs, and how results look as text. All work is lab's, the only package of ours that it imports; it never
// imports cli, session or config. Read prompt.go and verbs.go first.
package repl
