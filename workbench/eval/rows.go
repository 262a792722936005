package eval

import (
	"bufio"
	"bytes"
	"compress/gzip"
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

// Row is one example of a task's file: a JSON object.
type Row struct {
	// Where says where it stands, for errors: "arc-easy.jsonl:7".
	Where  string
	fields map[string]json.RawMessage
}

// Rows are a task's examples in order. A *RowError in place of a row is one that cannot be read; another error ends them.
type Rows = iter.Seq2[Row, error]

// RowError is what is wrong with a row.
type RowError struct{ Where, Problem string }

func (e *RowError) Error() string { return e.Where + ": " + e.Problem }

// NewRow makes a row of an encoded object.
func NewRow(where string, encoded []byte) (Row, error) {
	row := Row{Where: where}
	if err := json.Unmarshal(encoded, &row.fields); err != nil || row.fields == nil {
		return row, &RowError{where, "it is not a JSON object"}
	}
	return row, nil
}

// Get reads a field, which must be there and not be null, into target.
func (r Row) Get(name string, target any) error {
	value, ok := r.fields[name]
	if !ok {
		return &RowError{r.Where, fmt.Sprintf("it has no field %q, only %s", name, strings.Join(slices.Sorted(maps.Keys(r.fields)), ", "))}
	}
	if string(value) == "null" { // json would leave the target as it is
		return r.bad("field %q is null; it must have a value", name)
	}
	if err := json.Unmarshal(value, target); err != nil {
		return &RowError{r.Where, fmt.Sprintf("field %q is not of the kind that the task needs: %v", name, err)}
	}
	return nil
}

// get reads several fields: name, target, name, target, …
func (r Row) get(pairs ...any) error {
	for i := 0; i < len(pairs); i += 2 {
		if err := r.Get(pairs[i].(string), pairs[i+1]); err != nil {
			return err
		}
	}
	return nil
}

// bad says what is wrong with a row.
func (r Row) bad(format string, arguments ...any) error {
	return &RowError{r.Where, fmt.Sprintf(format, arguments...)}
}

// maxLine is the bytes of a line at most.
const maxLine = 16 << 20

// ReadRows reads a file of one JSON object a line; a name that ends in .gz is decompressed. name is what Where calls it.
func ReadRows(path, name string) Rows {
	return func(yield func(Row, error) bool) {
		file, err := os.Open(path)
		if err != nil {
			yield(Row{}, fmt.Errorf("read examples: %w", err))
			return
		}
		defer file.Close()
		var reader io.Reader = file
		if strings.HasSuffix(path, ".gz") {
			if reader, err = gzip.NewReader(file); err != nil {
				yield(Row{}, fmt.Errorf("read examples: %s: %w", name, err))
				return
			}
		}
		scanRows(reader, name, yield)
	}
}

func scanRows(reader io.Reader, name string, yield func(Row, error) bool) {
	lines := bufio.NewScanner(reader)
	lines.Buffer(nil, maxLine)
	for number := 1; lines.Scan(); number++ {
		line := lines.Bytes()
		if number == 1 {
			line = bytes.TrimPrefix(line, []byte("\uFEFF")) // the mark that some systems begin files with
		}
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		if !yield(NewRow(fmt.Sprintf("%s:%d", name, number), line)) {
			return
		}
	}
	if err := lines.Err(); err != nil {
		yield(Row{}, fmt.Errorf("read examples: %s: %w; a line may have %d bytes", name, err, maxLine))
	}
}

// collect parses rows, and counts those that are no example of the task.
func collect[T any](rows Rows, parse func(Row) (T, error)) (items []T, skipped Skipped, err error) {
	for row, err := range rows {
		var item T
		if err == nil {
			item, err = parse(row)
		}
		var bad *RowError
		switch {
		case errors.As(err, &bad):
			skipped.add(bad.Error())
		case err != nil:
			return nil, skipped, err
		default:
			items = append(items, item)
		}
	}
	return items, skipped, nil
}

// NumberedRows makes rows of encoded objects: the first is called "NAME:1". An error ends them.
func NumberedRows(name string, encoded iter.Seq2[json.RawMessage, error]) Rows {
	return func(yield func(Row, error) bool) {
		number := 0
		for object, err := range encoded {
			number++
			var row Row
			if err == nil {
				row, err = NewRow(fmt.Sprintf("%s:%d", name, number), object)
			}
			if !yield(row, err) {
				return
			}
		}
	}
}
