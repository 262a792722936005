package data

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go"
)

// rowsAtOnce is how many rows of a parquet file are decoded together.
const rowsAtOnce = 64

// parquetFile is an open parquet file.
type parquetFile struct {
	path string
	file *os.File
	*parquet.File
}

func openParquet(path string) (*parquetFile, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read corpus: %w", err)
	}
	opened := &parquetFile{path: path, file: f}
	err = guarded(func() error {
		info, err := f.Stat()
		if err != nil {
			return err
		}
		if err := checkFooter(f, info.Size()); err != nil {
			return err
		}
		// Neither the page index nor the filters are of use to who reads all.
		opened.File, err = parquet.OpenFile(f, info.Size(), parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
		return err
	})
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("read corpus %s: %w; is it a parquet file, and whole? get it again", path, err)
	}
	return opened, nil
}

// checkFooter compares the length that a file gives for its footer with its own: the library would make room for it first.
func checkFooter(f *os.File, size int64) error {
	var end [8]byte // the length, and the four bytes of the format's name
	if _, err := f.ReadAt(end[:], size-int64(len(end))); err != nil {
		return err
	}
	if length := int64(binary.LittleEndian.Uint32(end[:])); length > size-int64(len(end)) {
		return fmt.Errorf("its last bytes claim a footer of %d bytes, and it has %d", length, size)
	}
	return nil
}

func (p *parquetFile) close() { p.file.Close() }

// columns lists the columns in the order of the file.
func (p *parquetFile) columns() []column {
	var columns []column
	for _, field := range p.Schema().Fields() {
		columns = append(columns, column{field.Name(), field.Leaf() && field.Type().Kind() == parquet.ByteArray})
	}
	return columns
}

// rows streams the named columns row by row, as JSON would have them; all columns if none is named. Only those columns
// are read from the disk, and a page of each and rowsAtOnce rows are held.
func (p *parquetFile) rows(names []string) iter.Seq2[map[string]any, error] {
	return func(yield func(map[string]any, error) bool) {
		wanted := parquet.Group{}
		for _, field := range p.Schema().Fields() {
			if len(names) == 0 || slices.Contains(names, field.Name()) {
				wanted[field.Name()] = field
			}
		}
		schema := parquet.NewSchema("row", wanted)
		number := int64(0)
		for _, group := range p.RowGroups() {
			before := number
			for row, err := range groupRows(group, schema) {
				if err != nil {
					err = fmt.Errorf("read corpus %s, row %d: %w; the file is damaged: get it again", p.path, number+1, err)
				}
				if !yield(row, err) || err != nil {
					return
				}
				number++
			}
			if read := number - before; read != group.NumRows() {
				yield(nil, fmt.Errorf("read corpus %s: a row group has %d rows and must have %d; the file is damaged: get it again", p.path, read, group.NumRows()))
				return
			}
		}
	}
}

// groupRows streams the rows of one row group.
func groupRows(group parquet.RowGroup, schema *parquet.Schema) iter.Seq2[map[string]any, error] {
	return func(yield func(map[string]any, error) bool) {
		var reader *parquet.GenericReader[any]
		if err := guarded(func() error { reader = parquet.NewGenericRowGroupReader[any](group, schema); return nil }); err != nil {
			yield(nil, err)
			return
		}
		defer guarded(reader.Close)
		buffer := make([]parquet.Row, rowsAtOnce)
		for ended := false; !ended; {
			var decoded []map[string]any
			err := guarded(func() error {
				n, err := reader.ReadRows(buffer)
				for _, row := range buffer[:n] {
					fields := map[string]any{}
					if err := schema.Reconstruct(&fields, row); err != nil {
						return err
					}
					decoded = append(decoded, fields)
				}
				return err
			})
			for _, fields := range decoded {
				if !yield(fields, nil) {
					return
				}
			}
			if ended = errors.Is(err, io.EOF); err != nil && !ended {
				yield(nil, err)
				return
			}
		}
	}
}

// guarded calls f, which may panic on a file that is damaged.
func guarded(f func() error) (err error) {
	defer func() {
		if broken := recover(); broken != nil {
			line, _, _ := strings.Cut(fmt.Sprint(broken), "\n")
			err = fmt.Errorf("decode parquet: %.200s", line)
		}
	}()
	return f()
}
