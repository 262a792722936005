package data

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

// Description is what can be told of a corpus without tokenising it.
type Description struct {
	Name string `json:"name"`
	// Licence and Dataset, as OWNER/NAME at COMMIT, are of corpora on the hub; Licence is as its card says.
	Licence string `json:"licence,omitempty"`
	Dataset string `json:"dataset,omitempty"`
	// Config and Split are those that are read, Others all that the dataset has, as CONFIG:SPLIT.
	Config string   `json:"config,omitempty"`
	Split  string   `json:"split,omitempty"`
	Others []string `json:"others,omitempty"`
	// Files and Bytes are those of the corpus, downloaded or not.
	Files int   `json:"files"`
	Bytes int64 `json:"bytes"`
	// Documents counts documents, or rows of parquet; -1 means that not all files are here to be counted.
	Documents int64 `json:"documents"`
	// Columns are those of the first file, if it is parquet.
	Columns []string `json:"columns,omitempty"`
	// First are the first documents.
	First []string `json:"first"`
}

// Describe opens a corpus and looks at it: the first documents of it are read, and counted are all that are here. The
// first file of a dataset on the hub is downloaded for that. Of a mixture every part is described.
func Describe(ctx context.Context, spec string, first int, o Options) ([]Description, error) {
	c, err := OpenWith(ctx, spec, o)
	if err != nil {
		return nil, err
	}
	corpora := []Corpus{c}
	if m, ok := c.(*Mixture); ok {
		corpora = m.parts
	}
	var all []Description
	for _, c := range corpora {
		d := Description{Name: c.Name(), First: []string{}}
		if files, ok := c.(*fileCorpus); ok {
			err = files.describe(&d)
		} else {
			d.Documents, err = count(c)
		}
		if err != nil {
			return nil, err
		}
		if err := d.read(c, first); err != nil {
			return nil, err
		}
		all = append(all, d)
	}
	return all, nil
}

// read takes the first documents.
func (d *Description) read(c Corpus, first int) error {
	if first < 1 {
		return nil
	}
	for text, err := range c.Documents() {
		if err != nil {
			return err
		}
		if d.First = append(d.First, text); len(d.First) == first {
			break
		}
	}
	return nil
}

func count(c Corpus) (documents int64, err error) {
	for _, err := range c.Documents() {
		if err != nil {
			return documents, err
		}
		documents++
	}
	return documents, nil
}

func (c *fileCorpus) describe(d *Description) error {
	var here []string // files of this machine
	if h, ok := c.source.(*hubFiles); ok {
		here = h.describe(d)
		for _, err := range c.source.paths(1) { // the first file, for its columns
			if err != nil {
				return err
			}
			break
		}
	} else {
		for path, err := range c.paths() {
			if err != nil {
				return err
			}
			info, err := os.Stat(path)
			if err != nil {
				return err
			}
			d.Files, d.Bytes, here = d.Files+1, d.Bytes+info.Size(), append(here, path)
		}
	}
	if !slices.ContainsFunc(here, func(path string) bool { return !isParquet(path) }) {
		return c.countRows(d, here)
	}
	var err error
	d.Documents, err = count(c)
	return err
}

// countRows counts by what parquet files say of themselves.
func (c *fileCorpus) countRows(d *Description, files []string) error {
	for i, path := range files {
		p, err := openParquet(path)
		if err != nil && !exists(path) {
			d.Documents = -1
			return nil
		}
		if err != nil {
			return err
		}
		if i == 0 {
			for _, column := range p.columns() {
				d.Columns = append(d.Columns, column.name)
			}
		}
		d.Documents += p.NumRows()
		p.close()
		if c.limit > 0 && d.Documents >= c.limit {
			d.Documents = c.limit
			return nil
		}
	}
	return nil
}

// describe tells of the dataset and gives the places of its files, which may not be there yet.
func (h *hubFiles) describe(d *Description) (places []string) {
	set := h.choice.Dataset
	d.Licence, d.Config, d.Split = set.Licence, h.choice.Config, h.choice.Split
	d.Dataset = fmt.Sprintf("%s at %.12s", set.ID, set.Commit)
	for _, config := range slices.Sorted(maps.Keys(h.choice.Others)) {
		d.Others = append(d.Others, config+":"+strings.Join(h.choice.Others[config], ","))
	}
	for _, file := range h.choice.Files {
		path, _ := h.client.Cached(set, file)
		d.Files, d.Bytes, places = d.Files+1, d.Bytes+file.Size, append(places, path)
	}
	return places
}

// Fetch downloads the files of a corpus that are not on this machine yet, and tells how many files it has: 0 if it is
// not made of files.
func Fetch(ctx context.Context, spec string, o Options) (files int, err error) {
	c, err := OpenWith(ctx, spec, o)
	if err != nil {
		return 0, err
	}
	corpora := []Corpus{c}
	if m, ok := c.(*Mixture); ok {
		corpora = m.parts
	}
	for _, c := range corpora {
		of, ok := c.(*fileCorpus)
		if !ok {
			continue
		}
		for _, err := range of.paths() {
			if err != nil {
				return files, fmt.Errorf("fetch %q: %w", spec, err)
			}
			files++
		}
	}
	return files, nil
}
