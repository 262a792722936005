package repl

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// maxHistory is the lines kept.
const maxHistory = 1000

// history is the lines typed before, for the up and down keys. It is a file of one JSON string a line, to which each new
// line is added at once.
type history struct {
	file    string // "" keeps none
	entries []string
}

// openHistory reads a file, which need not exist; lines that are no JSON strings are passed over.
func openHistory(file string) *history {
	h := &history{file: file}
	encoded, err := os.ReadFile(file)
	if err != nil {
		return h
	}
	lines := strings.Split(strings.TrimSpace(string(encoded)), "\n")
	for _, line := range lines {
		var entry string
		if json.Unmarshal([]byte(line), &entry) == nil {
			h.remember(entry)
		}
	}
	if len(lines) > 2*maxHistory {
		_ = h.rewrite() // it is only long; the next program tries again
	}
	return h
}

// remember adds an entry; false if it is empty or the last one again.
func (h *history) remember(entry string) bool {
	if strings.TrimSpace(entry) == "" || (len(h.entries) > 0 && h.entries[len(h.entries)-1] == entry) {
		return false
	}
	h.entries = append(h.entries, entry)
	h.entries = h.entries[max(0, len(h.entries)-maxHistory):]
	return true
}

// Add is called by the line editor. A history that cannot be written still serves this program.
func (h *history) Add(line string) {
	entry := unshow(line)
	if !h.remember(entry) || h.file == "" {
		return
	}
	if err := os.MkdirAll(filepath.Dir(h.file), 0o700); err != nil {
		return
	}
	file, err := os.OpenFile(h.file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return
	}
	defer file.Close()
	fmt.Fprintf(file, "%s\n", encodeEntry(entry))
}

// Len and At give the entries to the line editor, the newest first.
func (h *history) Len() int        { return len(h.entries) }
func (h *history) At(i int) string { return show(h.entries[len(h.entries)-1-i]) }

func (h *history) rewrite() error {
	var text strings.Builder
	for _, entry := range h.entries {
		fmt.Fprintf(&text, "%s\n", encodeEntry(entry))
	}
	next := h.file + ".new"
	if err := os.WriteFile(next, []byte(text.String()), 0o600); err != nil {
		return err
	}
	return os.Rename(next, h.file)
}

func encodeEntry(entry string) []byte {
	encoded, _ := json.Marshal(entry) // a string always encodes
	return encoded
}
