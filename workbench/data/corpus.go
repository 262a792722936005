package data

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"tandem/workbench/data/hub"
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

// Options says how to open a corpus. The zero value will do.
type Options struct {
	// Hub is where hf: corpora come from; nil is hub.FromEnvironment.
	Hub *hub.Client
	// Say is told in words what a user should know, such as a licence; Progress of the bytes of downloads. Either may be
	// nil, and neither is used if Hub is given, which has its own.
	Say      func(string)
	Progress func(Download)
}

// Download is how far the download of one file is.
type Download = hub.Progress

// forms lists what Open understands, for its errors.
const forms = "give godoc, godoc:PACKAGE (say godoc:net/http), godoc:./FOLDER of Go source, gosrc likewise, " +
	"a text file, a .jsonl, .ndjson or .parquet file, " +
	"a folder holding .txt, .md, .jsonl, .ndjson or .parquet files, a glob, hf:OWNER/NAME[:CONFIG][:SPLIT][:COLUMN], " +
	"a preset that workbench data list shows, or a mixture such as a.jsonl=0.7,b.jsonl=0.3"

// Open is OpenWith without options and without an end.
func Open(spec string) (Corpus, error) { return OpenWith(context.Background(), spec, Options{}) }

// OpenWith finds the corpus that spec names:
//
//	godoc              comments of the Go installation (also the empty spec)
//	godoc:net/http     only that package and those below it
//	godoc:./folder     any folder of Go source: a path that is absolute or begins with a dot
//	gosrc              the source itself, also gosrc:net/http and gosrc:./folder; generated files are left out of both
//	notes.txt          a text file: one document, or many if it is big
//	data.jsonl         one JSON object a line, each a document (also .ndjson)
//	data.parquet       one document a row
//	books              a folder: every .txt, .md, .jsonl, .ndjson and .parquet file below it
//	books/*/a*.txt     every file and folder that the glob matches
//	hf:OWNER/NAME      a dataset of the Hugging Face hub; see parseHub for its parts
//	climbmix           one of Presets; ./climbmix is a file of that name
//	a=0.7,b=0.3        a Mixture: a part of the tokens comes from each
//
// The document of a row or a JSON object is its column or field "text", "content", "messages" or "conversations", or of
// parquet the only column of text. Another is named after a colon, several with a plus between:
// data.jsonl:question+answer. After [:N] a corpus of rows ends with its first N rows: data.parquet[:1000].
//
// A spec that names nothing or only empty files is an error. Downloads, which happen when documents are read, end with ctx.
func OpenWith(ctx context.Context, spec string, o Options) (Corpus, error) {
	if spec == "" {
		spec = "godoc"
	}
	if !reserved(spec) && exists(spec) {
		return openFiles(spec, spec, "", 0)
	}
	parts, isMixture, err := parseMixture(spec)
	switch {
	case err != nil:
		return nil, fmt.Errorf("open corpus %q: %w", spec, err)
	case isMixture:
		return openMixture(ctx, spec, parts, o)
	case isGoCorpus(spec):
		return openGodoc(spec)
	}
	plain, limit, err := cutLimit(spec)
	if err != nil {
		return nil, fmt.Errorf("open corpus %q: %w", spec, err)
	}
	if preset := FindPreset(plain); preset != nil || strings.HasPrefix(plain, "hf:") {
		return openHub(ctx, spec, plain, preset, limit, o)
	}
	path, columns := plain, ""
	if at := strings.LastIndex(plain, ":"); at > 0 && !exists(plain) && !strings.ContainsAny(plain[at:], `/\`) {
		path, columns = plain[:at], plain[at+1:]
	}
	return openFiles(spec, path, columns, limit)
}

// reserved tells words that are no files, even if there is one of that name.
func reserved(spec string) bool {
	return isGoCorpus(spec) || FindPreset(spec) != nil || strings.HasPrefix(spec, "hf:")
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

var limitSuffix = regexp.MustCompile(`\[:([^\[\]:]*)\]`)

// cutLimit takes [:N] out of a spec.
func cutLimit(spec string) (plain string, limit int64, err error) {
	at := limitSuffix.FindStringSubmatchIndex(spec)
	if at == nil {
		return spec, 0, nil
	}
	limit, err = strconv.ParseInt(strings.ReplaceAll(spec[at[2]:at[3]], "_", ""), 10, 64)
	if err != nil || limit < 1 {
		return "", 0, fmt.Errorf("%s: write [:N], with a number of rows of at least 1", spec[at[0]:at[1]])
	}
	return spec[:at[0]] + spec[at[1]:], limit, nil
}

// openFiles opens the files at path: one, those in a folder, or those that a glob matches.
func openFiles(spec, path, columns string, limit int64) (Corpus, error) {
	_, err := os.Stat(path)
	missing := errors.Is(err, fs.ErrNotExist)
	list := func() ([]string, error) { return textFiles(path) }
	switch {
	case missing && strings.ContainsAny(path, "*?["):
		list = func() ([]string, error) { return globFiles(path) }
	case missing:
		return nil, fmt.Errorf("open corpus %q: no such file or folder; %s", spec, forms)
	case err != nil:
		return nil, fmt.Errorf("open corpus %q: %w; %s", spec, err, forms)
	}
	files, err := list()
	if err != nil {
		return nil, fmt.Errorf("open corpus %q: %w; %s", spec, err, forms)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("open corpus %q: no text files found; %s", spec, forms)
	}
	if !slices.ContainsFunc(files, func(file string) bool {
		info, err := os.Stat(file)
		return err == nil && info.Size() > 0
	}) {
		return nil, fmt.Errorf("open corpus %q: %d file(s), all empty; %s", spec, len(files), forms)
	}
	if columns != "" && !slices.ContainsFunc(files, hasColumns) {
		return nil, fmt.Errorf("open corpus %q: text has no column %q; leave it out; %s", spec, columns, forms)
	}
	return &fileCorpus{name: spec, columns: columns, limit: limit, source: localFiles{list}}, nil
}

func globFiles(pattern string) ([]string, error) {
	matches, err := filepath.Glob(pattern)
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
}
