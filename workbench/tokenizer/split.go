package tokenizer

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Pattern is the regular expression that cuts text into pieces before BPE, as
// written to tokenizer.json: GPT-4's, with digit groups of one or two. Go's
// regexp has neither possessive quantifiers nor lookahead, so pieceEnd matches
// it by hand.
const Pattern = `'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,2}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+`

// class is what the pattern can tell apart about a character. Every character
// has exactly one class.
type class uint8

const (
	other   class = iota // punctuation, symbols, marks, and every byte that is not valid UTF-8
	letter               // \p{L}
	number               // \p{N}
	newline              // CR or LF
	space                // \s without CR and LF
	end                  // past the end of the text
)

var asciiClass = func() (table [utf8.RuneSelf]class) {
	for b := range table {
		table[b] = runeClass(rune(b))
	}
	return table
}()

func runeClass(r rune) class {
	switch {
	case r == '\r' || r == '\n':
		return newline
	case unicode.IsLetter(r):
		return letter
	case unicode.IsNumber(r):
		return number
	case unicode.IsSpace(r):
		return space
	}
	return other
}

// classAt gives the class and width in bytes of the character at text[i:]. A
// byte that is not part of valid UTF-8 is one character of class other.
func classAt(text string, i int) (class, int) {
	if i >= len(text) {
		return end, 0
	}
	if b := text[i]; b < utf8.RuneSelf {
		return asciiClass[b], 1
	}
	r, width := utf8.DecodeRuneInString(text[i:])
	return runeClass(r), width
}

// skip returns the end of the run of class c that begins at text[i:].
func skip(text string, i int, c class) int {
	for {
		found, width := classAt(text, i)
		if found != c {
			return i
		}
		i += width
	}
}

// pieceEnd returns where the piece that starts at text[i:] ends; i must be
// inside text. The numbers are the pattern's alternatives. Each is decided
// without backtracking because the classes are disjoint: a run that stops, stops
// at a character that nothing after it in the alternative could have taken.
func pieceEnd(text string, i int) int {
	first, width := classAt(text, i)
	next := i + width
	switch first {
	case letter: // 2, without its leading character
		return skip(text, next, letter)
	case number: // 3
		if second, width := classAt(text, next); second == number {
			next += width
		}
		return next
	case newline:
		return spaceEnd(text, i)
	}
	if n := contraction(text[i:]); n > 0 { // 1
		return i + n
	}
	second, secondWidth := classAt(text, next)
	switch {
	case second == letter: // 2
		return skip(text, next+secondWidth, letter)
	case first == other: // 4
		return skip(text, skip(text, next, other), newline)
	case text[i] == ' ' && second == other: // 4, with its leading space
		return skip(text, skip(text, next+secondWidth, other), newline)
	}
	return spaceEnd(text, i)
}

// contraction returns the length of alternative 1 at the start of text, or 0.
// Under (?i) the long s, U+017F, is an s; no other letter outside ASCII folds
// to one of these.
func contraction(text string) int {
	if len(text) < 2 || text[0] != '\'' {
		return 0
	}
	switch text[1] | 0x20 {
	case 's', 'd', 'm', 't':
		return 2
	}
	if strings.HasPrefix(text[1:], "ſ") {
		return 1 + len("ſ")
	}
	if len(text) < 3 {
		return 0
	}
	switch [2]byte{text[1] | 0x20, text[2] | 0x20} {
	case [2]byte{'l', 'l'}, [2]byte{'v', 'e'}, [2]byte{'r', 'e'}:
		return 3
	}
	return 0
}

// spaceEnd matches alternatives 5 to 7, the only ones left for a run of white
// space: up to its last CR or LF if it has one (5); the whole run at the end of
// the text, else all but its last character (6), which belongs to the word that
// follows; a lone character as it is (7).
func spaceEnd(text string, i int) int {
	lastNewline, last, at := -1, i, i
	for {
		c, width := classAt(text, at)
		if c != newline && c != space {
			break
		}
		last, at = at, at+width
		if c == newline {
			lastNewline = at
		}
	}
	switch {
	case lastNewline >= 0:
		return lastNewline
	case at == len(text) || last == i:
		return at
	}
	return last
}
