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

// jsonLine is one line of a file, which is not blank.
type jsonLine struct {
	number int // from 1
	text   json.RawMessage
}

// jsonLines streams the lines of a file that are not blank. Each is the caller's to keep.
func jsonLines(path string) iter.Seq2[jsonLine, error] {
	return func(yield func(jsonLine, error) bool) {
		f, err := os.Open(path)
		if err != nil {
			yield(jsonLine{}, fmt.Errorf("read corpus: %w", err))
			return
		}
		defer f.Close()
		r := bufio.NewReaderSize(f, 1<<20)
		skipByteOrderMark(r)
		for number := 1; ; number++ {
			line, err := readLine(r, nil)
			if err == io.EOF {
				return
			}
			if err != nil {
				err = fmt.Errorf("read corpus %s:%d: %w", path, number, err)
			}
			if err == nil && len(bytes.TrimSpace(line)) == 0 {
				continue
			}
			if !yield(jsonLine{number, line}, err) || err != nil {
				return
			}
		}
	}
}

// jsonDocuments streams the text of each line: of the columns wanted, as in pickColumns.
func jsonDocuments(path, wanted string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for line, err := range jsonLines(path) {
			var text string
			if err == nil {
				if text, err = lineText(line.text, wanted); err != nil {
					err = fmt.Errorf("read corpus %s:%d: %w; %s; fix or delete this line", path, line.number, err, mustBe(wanted))
				}
			}
			if !yield(text, err) || err != nil {
				return
			}
		}
	}
}

func mustBe(wanted string) string {
	if wanted == "" {
		return "each line must be a JSON object with a \"text\" string"
	}
	return fmt.Sprintf("each line must be a JSON object with %q", wanted)
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

func lineText(line []byte, wanted string) (string, error) {
	if wanted == "" {
		var object map[string]json.RawMessage // a struct would take "TEXT" for "text"
		if err := json.Unmarshal(line, &object); err != nil {
			return "", err
		}
		if value := object["text"]; value != nil && string(value) != "null" {
			var text string
			if err := json.Unmarshal(value, &text); err != nil {
				return "", fmt.Errorf("field \"text\": %w", err)
			}
			return text, nil
		}
	}
	var raw json.RawMessage // for its check of the whole line: a decoder stops after the first value
	if err := json.Unmarshal(line, &raw); err != nil {
		return "", err
	}
	var fields map[string]any
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.UseNumber() // a float64 would be written otherwise, and lose digits of large numbers
	if err := decoder.Decode(&fields); err != nil {
		return "", err
	}
	var have []column
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if fields[name] != nil || wanted != "" { // a column that is named may be empty, as in parquet
			have = append(have, column{name: name})
		}
	}
	columns, err := pickColumns(wanted, have)
	if err != nil && wanted == "" {
		return "", fmt.Errorf("no \"text\" among its fields (%s)", strings.Join(slices.Sorted(maps.Keys(fields)), ", "))
	}
	return rowText(fields, columns), err
}
