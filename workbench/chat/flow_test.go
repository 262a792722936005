package chat

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// pieces feeds bytes in chunks and joins what comes out.
func pieces(text string, stops []string, chunk int) (joined string, stopped bool, list []string) {
	f := flow{stops: stops}
	for len(text) > 0 {
		n := min(chunk, len(text))
		piece, stop := f.add(text[:n])
		text = text[n:]
		joined += piece
		list = append(list, piece)
		if stop {
			return joined, true, list
		}
	}
	rest := f.end()
	return joined + rest, false, append(list, rest)
}

func TestACharacterComesOutWhole(t *testing.T) {
	_, _, list := pieces("aé€😀", nil, 1)
	require.Equal(t, []string{"a", "", "é", "", "", "€", "", "", "", "😀", ""}, list)
}

func TestWhatIsNoCharacterIsReplaced(t *testing.T) {
	for text, want := range map[string]string{
		"a\xffb":        "a\uFFFDb",
		"\xe2\x82":      "\uFFFD\uFFFD",
		"\xe2\x82A":     "\uFFFD\uFFFDA",
		"\x80\x80":      "\uFFFD\uFFFD",
		"\xf0\x9f\x98a": "\uFFFD\uFFFD\uFFFDa",
	} {
		for chunk := 1; chunk <= 4; chunk++ {
			got, _, _ := pieces(text, nil, chunk)
			require.Equal(t, want, got, "%q in chunks of %d", text, chunk)
		}
	}
}

func TestAStopStringEndsTheText(t *testing.T) {
	for _, test := range []struct {
		text    string
		stops   []string
		want    string
		stopped bool
	}{
		{"one two three", []string{"two"}, "one ", true},
		{"one two three", []string{"four"}, "one two three", false},
		{"ababac", []string{"abac"}, "ab", true},
		{"abc", []string{"abc", "b"}, "a", true}, // the one that ends first
		{"xab", []string{"b", "ab"}, "x", true},  // of two that end together the longest
		{"the en", []string{"end"}, "the en", false},
		{"a€b", []string{"€"}, "a", true},
	} {
		for chunk := 1; chunk <= 3; chunk++ {
			got, stopped, _ := pieces(test.text, test.stops, chunk)
			require.Equal(t, test.want, got, "%+v in chunks of %d", test, chunk)
			require.Equal(t, test.stopped, stopped)
		}
	}
}

func FuzzTextDoesNotDependOnHowItIsSplit(f *testing.F) {
	f.Add("hello world", "wor", "or", 2)
	f.Add("\xe2\x82\xac\xff\xe2", "€", "\xff", 1)
	f.Fuzz(func(t *testing.T, text, one, two string, chunk int) {
		var stops []string
		for _, stop := range []string{one, two} {
			if stop != "" && invalidUTF8(stop) < 0 {
				stops = append(stops, stop)
			}
		}
		want, stopped, _ := pieces(text, stops, 1)
		got, alsoStopped, list := pieces(text, stops, 1+abs(chunk)%8)
		require.Equal(t, want, got)
		require.Equal(t, stopped, alsoStopped)
		for _, piece := range list {
			require.Negative(t, invalidUTF8(piece))
		}
	})
}

func abs(n int) int {
	if n < 0 {
		return -(n + 1)
	}
	return n
}
