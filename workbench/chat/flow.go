package chat

import (
	"strings"
	"unicode/utf8"
)

// flow turns a stream of bytes into pieces of whole characters, up to a stop string. The pieces joined do not depend on
// how the bytes were split.
type flow struct {
	stops   []string
	pending string // not given out: the start of a character or of a stop string
}

// add takes bytes and returns what can be given out now; stopped is true if a stop string was met, which is dropped.
func (f *flow) add(bytes string) (piece string, stopped bool) {
	f.pending += bytes
	if at := f.stop(); at >= 0 {
		piece, f.pending = f.pending[:at], ""
		return whole(piece), true
	}
	safe := len(f.pending) - max(unfinished(f.pending), f.held())
	piece, f.pending = f.pending[:safe], f.pending[safe:]
	return whole(piece), false
}

// end returns what is left; the start of a character becomes U+FFFD.
func (f *flow) end() string {
	rest := f.pending
	f.pending = ""
	return whole(rest)
}

// stop is where the stop string that ends first begins, of several the longest, or -1.
func (f *flow) stop() int {
	begin, end := -1, len(f.pending)+1
	for _, stop := range f.stops {
		at := strings.Index(f.pending, stop)
		if at < 0 {
			continue
		}
		if next := at + len(stop); next < end || (next == end && at < begin) {
			begin, end = at, next
		}
	}
	return begin
}

// held is the length of the longest end of pending with which a stop string may have begun.
func (f *flow) held() (length int) {
	for _, stop := range f.stops {
		for n := min(len(stop)-1, len(f.pending)); n > length; n-- {
			if strings.HasSuffix(f.pending, stop[:n]) {
				length = n
			}
		}
	}
	return length
}

// unfinished is the number of bytes at the end of text that begin a character and do not complete it.
func unfinished(text string) int {
	for n := 1; n < utf8.UTFMax && n <= len(text); n++ {
		if tail := text[len(text)-n:]; utf8.RuneStart(tail[0]) {
			if utf8.FullRuneInString(tail) {
				return 0
			}
			return n
		}
	}
	return 0
}

// whole replaces every byte that belongs to no character by U+FFFD.
func whole(text string) string {
	if utf8.ValidString(text) {
		return text
	}
	return string([]rune(text))
}
