package data

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// fileCorpus is text files, JSON lines and parquet files, one after the other.
type fileCorpus struct {
	name    string
	columns string // that make a document, joined by a plus; "": as pickColumns finds
	limit   int64  // rows to read at most; 0: all
	source  source
	skipped int64 // rows of the last pass that hold no text
}

// source is where the files of a corpus come from.
type source interface {
	// fingerprint changes when the files may have changed.
	fingerprint() (string, error)
	// paths streams the files in order, of which about limit rows are wanted.
	paths(limit int64) iter.Seq2[string, error]
}

func (c *fileCorpus) Name() string { return c.name }

func (c *fileCorpus) Fingerprint() (string, error) {
	mark, err := c.source.fingerprint()
	if err != nil {
		return "", fmt.Errorf("list corpus %q: %w", c.name, err)
	}
	if c.columns != "" || c.limit > 0 {
		mark = digest(fmt.Appendf(nil, "%s %q %d", mark, c.columns, c.limit))
	}
	return mark, nil
}

// Skipped counts the rows of the last whole pass that hold no text.
func (c *fileCorpus) Skipped() int64 { return c.skipped }

func (c *fileCorpus) paths() iter.Seq2[string, error] { return c.source.paths(c.limit) }

func (c *fileCorpus) Documents() iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		rows, skipped := int64(0), int64(0)
		for path, err := range c.paths() {
			if err != nil {
				yield("", err)
				return
			}
			for text, err := range fileDocuments(path, c.columns) {
				rows++
				if err == nil && strings.TrimSpace(text) == "" {
					skipped++
				} else if !yield(text, err) || err != nil {
					return
				}
				if rows == c.limit {
					break
				}
			}
			if rows == c.limit && rows > 0 {
				break
			}
		}
		c.skipped = skipped
		if skipped == rows {
			yield("", fmt.Errorf("read corpus %q: no document in it holds any text (%d rows, all blank); give another corpus, split or column", c.name, rows))
		}
	}
}

// fileDocuments streams the documents of a file, those that are blank included.
func fileDocuments(path, columns string) iter.Seq2[string, error] {
	switch {
	case isParquet(path):
		return parquetDocuments(path, columns)
	case isJSONLines(path):
		return jsonDocuments(path, columns)
	}
	return textDocuments(path)
}

func parquetDocuments(path, wanted string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		p, err := openParquet(path)
		if err != nil {
			yield("", err)
			return
		}
		defer p.close()
		columns, err := pickColumns(wanted, p.columns())
		if err != nil {
			yield("", fmt.Errorf("read corpus %s: %w", path, err))
			return
		}
		for fields, err := range p.rows(columns) {
			if !yield(rowText(fields, columns), err) || err != nil {
				return
			}
		}
	}
}

// localFiles are files of this machine.
type localFiles struct {
	list func() ([]string, error) // in order; asked anew each time, for a folder can change
}

func (l localFiles) fingerprint() (string, error) {
	files, err := l.list()
	if err != nil {
		return "", err
	}
	return fingerprint(files)
}

func (l localFiles) paths(int64) iter.Seq2[string, error] {
	files, err := l.list()
	if err != nil {
		return func(yield func(string, error) bool) { yield("", fmt.Errorf("list corpus: %w", err)) }
	}
	return all(files)
}

// textFiles is path itself if it is a file, whatever its name, and otherwise
// the text files below it in lexical order; hidden ones are left out.
func textFiles(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		if !info.Mode().IsRegular() {
			return nil, fmt.Errorf("%s is not a regular file, and a corpus is read more than once; save the text to a file", path)
		}
		return []string{path}, nil
	}
	return walk(path, func(entry fs.DirEntry) bool {
		extension := strings.ToLower(filepath.Ext(entry.Name()))
		return entry.IsDir() || extension == ".txt" || extension == ".md" || isJSONLines(entry.Name()) || isParquet(entry.Name())
	})
}

// walk lists the files below root that are wanted, in lexical order, links to
// files included. A folder that is not wanted, or whose name begins with a dot,
// is left out with all it holds.
func walk(root string, wanted func(fs.DirEntry) bool) ([]string, error) {
	// A root that is a symbolic link would not be entered without this.
	root, err := filepath.EvalSymlinks(root)
	if err != nil {
		return nil, err
	}
	var files []string
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		leave := strings.HasPrefix(entry.Name(), ".") || !wanted(entry)
		if leave && entry.IsDir() {
			return fs.SkipDir
		}
		if leave || entry.IsDir() {
			return nil
		}
		// The hub's cache is made of links to files. Links to folders could go round for ever.
		info, err := os.Stat(path)
		if err == nil && info.Mode().IsRegular() {
			files = append(files, path)
		}
		return err // a link that leads nowhere is text that is missing
	})
	slices.Sort(files)
	return files, err
}

// fingerprint digests path, size and modification time of files, as make and
// git do: quick for any size, and blind only to a change that forges all three.
func fingerprint(files []string) (string, error) {
	digest := sha256.New()
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			return "", fmt.Errorf("fingerprint corpus: %w", err)
		}
		absolute, err := filepath.Abs(file)
		if err != nil {
			return "", fmt.Errorf("fingerprint corpus: %w", err)
		}
		fmt.Fprintf(digest, "%q %d %d\n", absolute, info.Size(), info.ModTime().UnixNano())
	}
	return hex.EncodeToString(digest.Sum(nil)), nil
}
