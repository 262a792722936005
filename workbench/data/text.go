package data

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strings"
	"unicode/utf8"
)

// A text file of up to wholeFile bytes is one document. A bigger one is taken
// for a collection and is split at the first blank line after documentSize
// bytes, or, if none comes before documentMax, at the end of a line.
const (
	wholeFile    = 16 << 10
	documentSize = 8 << 10
	documentMax  = 64 << 10
)

// textDocuments streams the documents of a text file, holding one at a time.
func textDocuments(path string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		f, err := os.Open(path)
		if err != nil {
			yield("", fmt.Errorf("read corpus: %w", err))
			return
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			yield("", fmt.Errorf("read corpus: %w", err))
			return
		}
		s := textSplitter{r: bufio.NewReaderSize(f, documentMax), path: path, big: info.Size() > wholeFile}
		s.offset = int64(skipByteOrderMark(s.r))
		for {
			text, err := s.next()
			if err == io.EOF {
				return
			}
			if !yield(text, err) || err != nil {
				return
			}
		}
	}
}

type textSplitter struct {
	r      *bufio.Reader
	path   string
	big    bool
	offset int64
	rest   []byte // the head of a character that the last document's end cut in two
}

// skipByteOrderMark takes the mark that some systems begin files with, and gives its length.
func skipByteOrderMark(r *bufio.Reader) int {
	const mark = "\uFEFF"
	if head, _ := r.Peek(len(mark)); string(head) != mark {
		return 0
	}
	r.Discard(len(mark))
	return len(mark)
}

// next returns the following document, without the blank lines around it, or io.EOF.
func (s *textSplitter) next() (string, error) {
	text := s.rest
	s.rest = nil
	for {
		line, err := s.r.ReadSlice('\n') // at most documentMax bytes
		if at := bytes.IndexByte(line, 0); at >= 0 {
			return "", fmt.Errorf("read corpus %s: byte %d is zero, so this is no UTF-8 text (compressed, UTF-16 or binary?); convert it to text",
				s.path, s.offset+int64(at))
		}
		s.offset += int64(len(line))
		text = append(text, line...)
		switch {
		case err == io.EOF && len(text) == 0:
			return "", io.EOF
		case err == io.EOF:
			return trimLines(text), nil
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return "", fmt.Errorf("read corpus %s: %w", s.path, err)
		}
		blank := err == nil && len(bytes.TrimSpace(line)) == 0
		if s.big && (len(text) >= documentMax || blank && len(text) >= documentSize) {
			text, s.rest = cutCharacter(text)
			return trimLines(text), nil
		}
	}
}

func trimLines(text []byte) string { return strings.Trim(string(text), "\r\n") }

// cutCharacter parts text before its last character if that one is incomplete.
func cutCharacter(text []byte) (whole, rest []byte) {
	for back := 1; back < utf8.UTFMax && back <= len(text); back++ {
		at := len(text) - back
		if utf8.RuneStart(text[at]) {
			if !utf8.FullRune(text[at:]) {
				return text[:at], bytes.Clone(text[at:])
			}
			break
		}
	}
	return text, nil
}
