package data

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// godocCorpus is made of Go source: godoc is the English in it, gosrc the source itself.
type godocCorpus struct {
	name string
	root string
	// document makes the one of a file; empty is none.
	document func(path string) (string, error)

	// A tokenizer's training and the tokenising after it both want all texts, and parsing takes longer than either, so the
	// texts of a whole pass are kept while the files are as they were.
	keeping sync.Mutex
	kept    []string
	keptFor string // fingerprint
}

// goCorpora are the specs that openGodoc knows, and what they make of a file.
var goCorpora = map[string]func(path string) (string, error){"godoc": fileComments, "gosrc": fileSource}

// isGoCorpus says whether a spec is one of goCorpora: alone, or with a package or folder after a colon.
func isGoCorpus(spec string) bool {
	kind, _, _ := strings.Cut(spec, ":")
	return goCorpora[kind] != nil
}

func openGodoc(spec string) (Corpus, error) {
	kind, tree, _ := strings.Cut(spec, ":")
	root := tree
	if !filepath.IsAbs(tree) && !strings.HasPrefix(tree, ".") {
		goroot, err := findGoroot()
		if err != nil {
			return nil, fmt.Errorf("open corpus %q: %w", spec, err)
		}
		root = filepath.Join(goroot, "src", filepath.FromSlash(tree))
	}
	info, err := os.Stat(root)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("open corpus %q: no folder %s; %s", spec, root, forms)
	case err != nil:
		return nil, fmt.Errorf("open corpus %q: %w; %s", spec, err, forms)
	case !info.IsDir():
		return nil, fmt.Errorf("open corpus %q: %s is no folder; %s", spec, root, forms)
	}
	c := &godocCorpus{name: spec, root: root, document: goCorpora[kind]}
	files, err := c.files()
	if err != nil {
		return nil, fmt.Errorf("open corpus %q: %w", spec, err)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("open corpus %q: no Go files below %s; %s", spec, root, forms)
	}
	return c, nil
}

// findGoroot asks the environment and then the go command, for runtime.GOROOT
// only knows where the binary was built.
func findGoroot() (string, error) {
	if root := os.Getenv("GOROOT"); root != "" {
		return root, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	const remedy = "set GOROOT, put go on the PATH, or give another corpus"
	out, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return "", fmt.Errorf("find the Go installation: %w; %s", err, remedy)
	}
	root := strings.TrimSpace(string(out))
	if root == "" {
		return "", fmt.Errorf("find the Go installation: go env GOROOT is empty; %s", remedy)
	}
	return root, nil
}

func (c *godocCorpus) Name() string { return c.name }

// godocReading numbers the way in which this package reads Go source, for what a cache kept of an earlier way is other text. Raise
// it with any change of what Documents gives.
const godocReading = 2

// Fingerprint implements Corpus.
func (c *godocCorpus) Fingerprint() (string, error) {
	files, err := c.files()
	if err != nil {
		return "", fmt.Errorf("list corpus %q: %w", c.name, err)
	}
	mark, err := fingerprint(files)
	if err != nil {
		return "", err
	}
	return digest(fmt.Appendf(nil, "%s %d", mark, godocReading)), nil
}

// Documents parses the files on every core and streams them in lexical order.
func (c *godocCorpus) Documents() iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		files, err := c.files()
		if err != nil {
			yield("", fmt.Errorf("list corpus %q: %w", c.name, err))
			return
		}
		mark, err := fingerprint(files)
		if err != nil {
			yield("", fmt.Errorf("list corpus %q: %w", c.name, err))
			return
		}
		if texts, ok := c.keptTexts(mark); ok {
			all(texts)(yield)
			return
		}
		var texts []string
		for text, err := range ordered(all(files), c.document) {
			if err == nil && text == "" {
				continue
			}
			if !yield(text, err) || err != nil {
				return
			}
			texts = append(texts, text)
		}
		c.keeping.Lock()
		defer c.keeping.Unlock()
		c.kept, c.keptFor = texts, mark
	}
}

// keptTexts gives the texts of an earlier pass over files with the same fingerprint.
func (c *godocCorpus) keptTexts(mark string) ([]string, bool) {
	c.keeping.Lock()
	defer c.keeping.Unlock()
	return c.kept, c.kept != nil && c.keptFor == mark
}

// files lists the Go files below the root, without those in testdata, most of
// which are broken on purpose.
func (c *godocCorpus) files() ([]string, error) {
	return walk(c.root, func(entry fs.DirEntry) bool {
		if entry.IsDir() {
			return entry.Name() != "testdata"
		}
		return strings.HasSuffix(entry.Name(), ".go")
	})
}
