package runlog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"
)

// Writer appends records to a file of metrics. It is safe for concurrent use.
type Writer struct {
	mu   sync.Mutex
	file *os.File
	torn bool // the last write failed, perhaps in the middle of its line
}

// Open opens a file of metrics for appending, creating it if need be. A last line that a crash cut off is removed, and
// dropped says how many bytes it had. A file that is not one of metrics is refused and left as it is.
func Open(path string) (w *Writer, dropped int64, err error) {
	if err := checkRegular(path); err != nil {
		return nil, 0, fmt.Errorf("open metrics: %w", err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o666)
	if err != nil {
		return nil, 0, fmt.Errorf("open metrics: %w", err)
	}
	dropped, err = repair(f)
	if err != nil {
		f.Close()
		return nil, 0, fmt.Errorf("open metrics %s: %w", path, err)
	}
	return &Writer{file: f}, dropped, nil
}

// repair makes the file end with a newline. A last line that lacks nothing but its newline is given one; a shorter
// one is cut off.
func repair(f *os.File) (dropped int64, err error) {
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil || size == 0 {
		return 0, err
	}
	end, err := lastNewline(f, size)
	if err != nil || end == size {
		return 0, err
	}
	if err := looksLikeMetrics(f, end); err != nil {
		return 0, err
	}
	if size-end <= maxLine {
		tail := make([]byte, size-end)
		if _, err := f.ReadAt(tail, end); err != nil {
			return 0, err
		}
		if new(Record).UnmarshalJSON(tail) == nil {
			_, err := f.Write([]byte("\n"))
			return 0, err
		}
	}
	return size - end, f.Truncate(end)
}

// lastNewline is the offset after the last newline in the first size bytes, 0 where there is none.
func lastNewline(f io.ReaderAt, size int64) (int64, error) {
	buf := make([]byte, 64<<10)
	for end := size; end > 0; {
		part := buf[:min(end, int64(len(buf)))]
		begin := end - int64(len(part))
		if _, err := f.ReadAt(part, begin); err != nil {
			return 0, err
		}
		if i := bytes.LastIndexByte(part, '\n'); i >= 0 {
			return begin + int64(i) + 1, nil
		}
		end = begin
	}
	return 0, nil
}

// looksLikeMetrics guards files that came here by mistake against being cut: both the first line and the torn one
// must begin as a record does, or with the zero bytes that a power failure can leave.
func looksLikeMetrics(f io.ReaderAt, torn int64) error {
	for _, at := range []int64{0, torn} {
		var first [1]byte
		if _, err := f.ReadAt(first[:], at); err != nil {
			return err
		}
		if first[0] != '{' && first[0] != 0 {
			return errors.New("not a file of JSON lines; name another file, or move this one away")
		}
	}
	return nil
}

// Write appends one record with a single write, stamping it with the present if it has no time. After an error (a
// full disk) later records still go in, on lines of their own.
func (w *Writer) Write(r Record) error {
	if r.Time.IsZero() {
		r.Time = time.Now()
	}
	line, err := r.MarshalJSON()
	if err != nil {
		return fmt.Errorf("write metrics: %w", err)
	}
	if len(line) >= maxLine {
		return fmt.Errorf("write metrics: a record of kind %q has %d bytes, the most is %d; shorten its text",
			r.Kind, len(line), maxLine)
	}
	line = append(line, '\n')
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.torn {
		line = append([]byte("\n"), line...)
	}
	_, err = w.file.Write(line)
	w.torn = err != nil
	if err != nil {
		return fmt.Errorf("write metrics of step %d: %w", r.Step, err)
	}
	return nil
}

// Present returns an error when the file no longer stands where it was opened: its folder was deleted, moved or replaced,
// and what is written goes nowhere that anyone will look.
func (w *Writer) Present() error {
	opened, err := w.file.Stat()
	if err != nil {
		return fmt.Errorf("check metrics: %w", err)
	}
	there, err := os.Stat(w.file.Name())
	if err == nil && os.SameFile(opened, there) {
		return nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("check metrics: %w", err)
	}
	return fmt.Errorf("%s is gone: it was deleted, moved or replaced while it was being written", w.file.Name())
}

// Sync returns when everything written is on the disk.
func (w *Writer) Sync() error {
	if err := w.file.Sync(); err != nil {
		return fmt.Errorf("sync metrics: %w", err)
	}
	return nil
}

// Close syncs and closes the file.
func (w *Writer) Close() error {
	if err := errors.Join(w.file.Sync(), w.file.Close()); err != nil {
		return fmt.Errorf("close metrics: %w", err)
	}
	return nil
}
