package tokenizer

import "unicode/utf8"

// byteRunes and runeBytes are GPT-2's reversible spelling of bytes as printable
// characters, which lets a JSON string hold any byte sequence: printable
// Latin-1 bytes stand for themselves and the other 68, in order, for U+0100
// upwards (so a space is written "Ġ").
var byteRunes, runeBytes = byteAlphabet()

func byteAlphabet() (toRune [256]rune, toByte map[rune]byte) {
	toByte = make(map[rune]byte, 256)
	next := rune(0x100)
	for b := range 256 {
		r := rune(b)
		printable := (r >= '!' && r <= '~') || (r >= 0xA1 && r <= 0xFF && r != 0xAD)
		if !printable {
			r, next = next, next+1
		}
		toRune[b], toByte[r] = r, byte(b)
	}
	return toRune, toByte
}

// spell writes raw bytes in the byte alphabet.
func spell(raw string) string {
	out := make([]byte, 0, 2*len(raw))
	for i := range len(raw) {
		out = utf8.AppendRune(out, byteRunes[raw[i]])
	}
	return string(out)
}

// unspell inverts spell; ok is false where a character is not in the alphabet.
func unspell(text string) (raw string, ok bool) {
	out := make([]byte, 0, len(text))
	for _, r := range text {
		b, known := runeBytes[r]
		if !known {
			return "", false
		}
		out = append(out, b)
	}
	return string(out), true
}
