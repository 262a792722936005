package data

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"os"
	"slices"
	"strings"
)

// lineMax bounds a line of JSON, so that a file that is no JSON lines at all
// cannot fill the memory.
const lineMax = 64 << 20

// jsonDocuments streams the "text" of each line of f. Blank lines are skipped.
func jsonDocuments(f *os.File, path string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		r := bufio.NewReaderSize(f, 1<<20)
		var line []byte
		for number := 1; ; number++ {
			var err error
			line, err = readLine(r, line[:0])
			if err == io.EOF {
				return
			}
			var text string
			if err == nil && len(bytes.TrimSpace(line)) > 0 {
				text, err = textField(line)
			}
			if err != nil {
				err = fmt.Errorf("read corpus %s:%d: %w; each line must be a JSON object with a \"text\" string; fix or delete this line",
					path, number, err)
			}
			if !yield(text, err) || err != nil {
				return
			}
		}
	}
}

// readLine appends the next line to line, or gives io.EOF when there is none.
func readLine(r *bufio.Reader, line []byte) ([]byte, error) {
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case len(line) > lineMax:
			return line, fmt.Errorf("line is longer than %d MiB", lineMax>>20)
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err == io.EOF && len(line) > 0:
			return line, nil
		}
		return line, err
	}
}

func textField(line []byte) (string, error) {
	var object struct {
		Text *string `json:"text"`
	}
	if err := json.Unmarshal(line, &object); err != nil {
		return "", err
	}
	if object.Text != nil {
		return *object.Text, nil
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(line, &fields); err != nil {
		return "", err
	}
	return "", fmt.Errorf("no \"text\" among its fields (%s)", strings.Join(slices.Sorted(maps.Keys(fields)), ", "))
}
