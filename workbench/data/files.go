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

// fileCorpus is text and JSON-lines files, one after the other.
type fileCorpus struct {
	name string
	list func() ([]string, error) // the files, in order; asked anew each time, for a folder can change
}

func (c *fileCorpus) Name() string { return c.name }

func (c *fileCorpus) Fingerprint() (string, error) {
	files, err := c.list()
	if err != nil {
		return "", fmt.Errorf("list corpus %q: %w", c.name, err)
	}
	return fingerprint(files)
}

func (c *fileCorpus) Documents() iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		files, err := c.list()
		if err != nil {
			yield("", fmt.Errorf("list corpus %q: %w", c.name, err))
			return
		}
		for _, file := range files {
			for text, err := range fileDocuments(file) {
				if !yield(text, err) || err != nil {
					return
				}
			}
		}
	}
}

func fileDocuments(path string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		f, err := os.Open(path)
		if err != nil {
			yield("", fmt.Errorf("read corpus: %w", err))
			return
		}
		defer f.Close()
		documents := textDocuments(f, path)
		if isJSONLines(path) {
			documents = jsonDocuments(f, path)
		}
		for text, err := range documents {
			if err == nil && strings.TrimSpace(text) == "" {
				continue
			}
			if !yield(text, err) {
				return
			}
		}
	}
}

func isJSONLines(path string) bool {
	extension := strings.ToLower(filepath.Ext(path))
	return extension == ".jsonl" || extension == ".ndjson"
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
		return entry.IsDir() || extension == ".txt" || extension == ".md" || isJSONLines(entry.Name())
	})
}

// walk lists the files below root that are wanted, in lexical order. A folder
// that is not wanted, or whose name begins with a dot, is left out with all it holds.
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
		if !leave && entry.Type().IsRegular() {
			files = append(files, path)
		}
		return nil
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
