package data

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
)

// Corpus is a stream of documents.
type Corpus interface {
	// Name is the spec that opens the corpus.
	Name() string
	// Fingerprint changes when the text may have changed. It is cheap: no text
	// is read for it.
	Fingerprint() (string, error)
	// Documents streams the texts in an order that only depends on the corpus;
	// none is empty or white space alone. An error ends the stream.
	Documents() iter.Seq2[string, error]
}

// forms lists what Open understands, for its errors.
const forms = "give godoc, godoc:PACKAGE (say godoc:net/http), godoc:./FOLDER of Go source, " +
	"a text file, a .jsonl or .ndjson file with a \"text\" field, " +
	"a folder holding .txt, .md, .jsonl or .ndjson files, or a glob"

// Open finds the corpus that spec names:
//
//	godoc            comments of the Go installation (also the empty spec)
//	godoc:net/http   only that package and those below it
//	godoc:./folder   any folder of Go source: a path that is absolute or begins with a dot
//	notes.txt        a text file: one document, or many if it is big
//	data.jsonl       one JSON object a line, its "text" a document (also .ndjson)
//	books            a folder: every .txt, .md, .jsonl and .ndjson file below it
//	books/*/a*.txt   every file and folder that the glob matches
//
// A spec that names nothing or only empty files is an error.
func Open(spec string) (Corpus, error) {
	if spec == "" {
		spec = "godoc"
	}
	if spec == "godoc" || strings.HasPrefix(spec, "godoc:") {
		return openGodoc(spec)
	}
	_, err := os.Stat(spec)
	missing := errors.Is(err, fs.ErrNotExist)
	if missing && strings.ContainsAny(spec, "*?[") {
		return openGlob(spec)
	}
	if missing {
		return nil, fmt.Errorf("open corpus %q: no such file or folder; %s", spec, forms)
	}
	if err != nil {
		return nil, fmt.Errorf("open corpus %q: %w; %s", spec, err, forms)
	}
	return openFiles(spec, func() ([]string, error) { return textFiles(spec) })
}

func openGlob(spec string) (Corpus, error) {
	return openFiles(spec, func() ([]string, error) {
		matches, err := filepath.Glob(spec)
		if err != nil {
			return nil, err
		}
		var files []string
		for _, match := range matches {
			below, err := textFiles(match)
			if err != nil {
				return nil, err
			}
			files = append(files, below...)
		}
		return files, nil
	})
}

func openFiles(spec string, list func() ([]string, error)) (Corpus, error) {
	files, err := list()
	if err != nil {
		return nil, fmt.Errorf("open corpus %q: %w; %s", spec, err, forms)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("open corpus %q: no text files found; %s", spec, forms)
	}
	for _, file := range files {
		if info, err := os.Stat(file); err == nil && info.Size() > 0 {
			return &fileCorpus{name: spec, list: list}, nil
		}
	}
	return nil, fmt.Errorf("open corpus %q: %d file(s), all empty; %s", spec, len(files), forms)
}
