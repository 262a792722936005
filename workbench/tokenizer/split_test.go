package tokenizer

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func pieces(text string) []string {
	var out []string
	for i := 0; i < len(text); {
		end := pieceEnd(text, i)
		out = append(out, text[i:end])
		i = end
	}
	return out
}

func TestSplit(t *testing.T) {
	cases := []struct{ name, text, want string }{
		{"words take one leading space", "Hello world", "Hello| world"},
		{"a word takes any one leading character but a line end", "\tx (y\nz", "\tx| (|y|\n|z"},
		{"contractions of any case come off", "it's WE'LL they've o'RE", "it|'s| WE|'LL| they|'ve| o|'RE"},
		{"a contraction wins over a quoted word", "'stuff' 'x", "'s|tuff|'| '|x"},
		{"the long s is an s in a contraction", "a'ſx", "a|'ſ|x"},
		{"an apostrophe before other letters belongs to the word", "o'clock", "o|'clock"},
		{"digits go in groups of two without their space", "a 12345", "a| |12|34|5"},
		{"numbers are all of N", "Ⅷ½٣", "Ⅷ½|٣"},
		{"punctuation takes one space and its line ends", "a ...\r\n\nb", "a| ...\r\n\n|b"},
		{"a run of spaces leaves its last to the word", "a   b", "a|  | b"},
		{"a run of spaces leaves its last alone before a digit", "a   1", "a|  | |1"},
		{"a run of spaces at the end is one piece", "a   ", "a|   "},
		{"white space ends at its last line end", "a \n \n  b", "a| \n \n| | b"},
		{"white space is Unicode white space", "a\u3000\u00a0b", "a|\u3000|\u00a0b"},
		{"a combining mark is not a letter", "e\u0301a", "e|\u0301a"},
		{"an invalid byte is a symbol", "a\xff\xfe b\xe2\x82", "a|\xff\xfe| b|\xe2\x82"},
		{"special names are text", "<|bos|>", "<|bos|>"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			want := strings.Split(c.want, "|")
			if strings.Contains(c.text, "|") {
				want = []string{"<|", "bos", "|>"}
			}
			require.Equal(t, want, pieces(c.text))
			require.Equal(t, want, oraclePieces(c.text), "the oracle disagrees with the case")
		})
	}
}

func TestSplitEqualsTheOracleOnAllShortTexts(t *testing.T) {
	alphabets := []struct {
		symbols []string
		length  int
	}{
		{[]string{"a", "1", "'", " ", "\n", "\r", "\t", "!", "s", "\u00a0", "\xff"}, 5},
		{[]string{"'", "l", "L", "v", "e", "R", "S", "ſ", "K", " "}, 4},
		{[]string{" ", "\n", "x", "."}, 8},
		{[]string{"\xe2", "\x80", "\xa8", "a", " "}, 6}, // fragments of U+2028
	}
	for _, a := range alphabets {
		var extend func(text string, left int)
		extend = func(text string, left int) {
			if got, want := pieces(text), oraclePieces(text); strings.Join(got, "|") != strings.Join(want, "|") {
				require.Equal(t, want, got, "%q", text)
			}
			if left > 0 {
				for _, symbol := range a.symbols {
					extend(text+symbol, left-1)
				}
			}
		}
		extend("", a.length)
	}
}

func FuzzSplitEqualsTheOracle(f *testing.F) {
	f.Add("It's  a\r\n\r\n test\u2028\u00a0 of 12345 '\u017f \xf0\x9f\x98 <|bos|>")
	f.Add("日本語 한국어\tहिन्दी  👨‍👩‍👧 don'T")
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 2000 { // the oracle recurses per character
			return
		}
		require.Equal(t, oraclePieces(text), pieces(text))
	})
}

func TestCuttingALongTextKeepsItsPieces(t *testing.T) {
	line := "  some text, it's 12\u00a0lines\r\n\n \n\tindented !!\nfollowed by more\n"
	text := strings.Repeat(line, (batchBytes+tailBytes)/len(line)+2)
	cut := cutPoint(text)
	require.Less(t, cut, len(text))
	require.Equal(t, pieces(text), append(pieces(text[:cut]), pieces(text[cut:])...))

	unbroken := strings.Repeat("x ", batchBytes)
	require.Equal(t, len(unbroken), cutPoint(unbroken), "a text without line ends is not cut")
}
