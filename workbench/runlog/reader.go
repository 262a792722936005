package runlog

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// maxLine is the longest line that is written or read, in bytes, so that no file can take all memory.
const maxLine = 16 << 20

// BadLine is a line that is not a record. Readers skip it and report it.
type BadLine struct {
	Path   string
	Line   int // from 1
	Reason string
}

// String is "runs/x/metrics.jsonl:7: reason".
func (b BadLine) String() string { return fmt.Sprintf("%s:%d: %s", b.Path, b.Line, b.Reason) }

// Read returns the records that count, in the order of the file: what a resume has superseded is left out. Lines that
// are not records are skipped and returned in bad. It may be called while a Writer is writing.
func Read(path string) (records []Record, bad []BadLine, err error) {
	records, bad, err = ReadAll(path)
	return Resolve(records), bad, err
}

// ReadAll is Read with the superseded records left in.
func ReadAll(path string) (records []Record, bad []BadLine, err error) {
	if err := checkRegular(path); err != nil {
		return nil, nil, fmt.Errorf("read metrics: %w", err)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, fmt.Errorf("read metrics: %w", err)
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, 64<<10)
	for number := 1; ; number++ {
		line, readErr := readLine(r)
		if readErr != nil && readErr != io.EOF && readErr != errLong {
			return records, bad, fmt.Errorf("read metrics %s: line %d: %w", path, number, readErr)
		}
		if record, ok, reason := parseLine(line, readErr); ok {
			records = append(records, record)
		} else if reason != "" {
			bad = append(bad, BadLine{path, number, reason})
		}
		if readErr == io.EOF {
			return records, bad, nil
		}
	}
}

// parseLine returns the line's record, or why it is not one; a blank line is neither.
func parseLine(line []byte, readErr error) (record Record, ok bool, reason string) {
	if readErr == errLong {
		return record, false, errLong.Error()
	}
	if len(bytes.TrimSpace(line)) == 0 {
		return record, false, ""
	}
	err := record.UnmarshalJSON(line)
	switch {
	case err == nil:
		return record, true, ""
	case readErr == io.EOF:
		return record, false, "cut off: the last line has no end; it is being written, or its writer died"
	}
	return record, false, "not a record: " + err.Error()
}

var errLong = errors.New("longer than a record can be")

// readLine returns the next line; io.EOF comes together with the last one, which has no newline. Of a line longer than
// maxLine the rest is read and thrown away, and the error is errLong.
func readLine(r *bufio.Reader) (line []byte, err error) {
	long := false
	for {
		part, err := r.ReadSlice('\n')
		if len(line)+len(part) > maxLine {
			long, line = true, nil
		}
		if !long {
			line = append(line, part...)
		}
		if err == bufio.ErrBufferFull {
			continue
		}
		if long && err == nil {
			err = errLong
		}
		return line, err
	}
}

// Resolve leaves out the records that a later resume has superseded: those before it whose step is greater than its.
func Resolve(records []Record) []Record {
	kept := make([]Record, 0, len(records))
	for _, record := range records {
		if record.Kind == KindResume {
			kept = slices.DeleteFunc(kept, func(earlier Record) bool { return earlier.Step > record.Step })
		}
		kept = append(kept, record)
	}
	return kept
}
