package data

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Tokenize gives the tokens of c under enc. They are cached in a folder below
// dir whose name comes from the corpus, its fingerprint and the encoder; the
// folder is used again while it is whole, and made again when it is damaged.
//
// The first time, documents are tokenised on every core, and progress, unless
// nil, is told now and then how many documents and bytes of text are done. The
// result does not depend on the number of cores. When ctx ends, or anything
// fails, nothing is left behind. The parts of a Mixture have a folder each.
// Close the Shards when done.
func Tokenize(ctx context.Context, c Corpus, enc Encoder, dir string, progress func(documents int, bytes int64)) (*Shards, error) {
	if m, ok := c.(*Mixture); ok {
		return m.tokenize(ctx, enc, dir, progress)
	}
	mark, err := c.Fingerprint()
	if err != nil {
		return nil, fmt.Errorf("tokenize %s: %w", c.Name(), err)
	}
	key := cacheKey(c.Name(), mark, enc.Hash())
	folder := filepath.Join(dir, key)
	if shards, err := openShards(folder); err == nil {
		return shards, nil
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, fmt.Errorf("tokenize %s: %w; give a folder that can be written", c.Name(), err)
	}
	sweep(dir)
	work := filepath.Join(dir, workPrefix+key+"-"+rand.Text())
	defer os.RemoveAll(work) // nothing is there once published
	w := shardWork{corpus: c, encoder: enc, folder: work, fingerprint: mark, limit: shardTokens, progress: progress}
	if err := w.run(ctx); err != nil {
		return nil, fmt.Errorf("tokenize %s: %w", c.Name(), err)
	}
	if err := publish(work, folder); err != nil {
		return nil, fmt.Errorf("tokenize %s: %w", c.Name(), err)
	}
	return openPublished(folder)
}

// cacheKey begins with what a person can recognise.
func cacheKey(name, fingerprint, encoder string) string {
	label := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, name)
	label = strings.Trim(label[max(0, len(label)-24):], "-")
	sum := digest(fmt.Appendf(nil, "%d %q %q %q", shardFormat, name, fingerprint, encoder))
	return label + "-" + sum[:16]
}

// shardWork fills one shard folder.
type shardWork struct {
	corpus      Corpus
	encoder     Encoder
	folder      string
	fingerprint string
	limit       int64 // tokens a shard
	progress    func(documents int, bytes int64)
}

func (w *shardWork) run(ctx context.Context) error {
	if err := os.Mkdir(w.folder, 0o777); err != nil {
		return fmt.Errorf("%w; give a folder that can be written", err)
	}
	m := &manifest{
		Format: shardFormat, Corpus: w.corpus.Name(), Fingerprint: w.fingerprint,
		Encoder: w.encoder.Hash(), Vocabulary: w.encoder.VocabSize(), BOS: w.encoder.BOS(),
		Splits: make(map[Split]*splitManifest),
	}
	writers := make(map[Split]*splitWriter)
	for _, split := range []Split{Train, Validation} {
		writer, err := newSplitWriter(w.folder, split, m.tokenWidth(), w.limit)
		if err != nil {
			return fmt.Errorf("write shards: %w", err)
		}
		defer writer.abandon()
		writers[split] = writer
	}
	if err := w.write(ctx, writers); err != nil {
		return err
	}
	if counts, ok := w.corpus.(interface{ Skipped() int64 }); ok {
		m.Skipped = counts.Skipped()
	}
	for split, writer := range writers {
		var err error
		if m.Splits[split], err = writer.finish(); err != nil {
			return fmt.Errorf("write shards: %w; free some space or give another folder", err)
		}
	}
	after, err := w.corpus.Fingerprint()
	if err != nil {
		return err
	}
	if after != w.fingerprint {
		return errors.New("the corpus changed while it was read; run again when it is at rest")
	}
	if err := m.write(w.folder); err != nil {
		return fmt.Errorf("write shards: %w; free some space or give another folder", err)
	}
	return nil
}

// write tokenises the corpus into writers.
func (w *shardWork) write(ctx context.Context, writers map[Split]*splitWriter) error {
	documents, bytes := 0, int64(0)
	for parcel, err := range encodeAll(w.corpus.Documents(), w.encoder) {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		start := 0
		for _, document := range parcel.each {
			tokens := parcel.tokens[start:document.end]
			start = document.end
			bytes += document.size
			if len(tokens) == 1 {
				continue // the text encodes to nothing, and BOS alone teaches nothing
			}
			documents++
			if err := writers[document.split].add(tokens, document.size); err != nil {
				return fmt.Errorf("write shards: %w; free some space or give another folder", err)
			}
		}
		if w.progress != nil {
			w.progress(documents, bytes)
		}
	}
	if documents == 0 {
		return errors.New("no document in it holds any text; give another corpus")
	}
	return nil
}

// publish renames work to folder. A sound folder that another process made
// meanwhile stays; a damaged one makes way. Others may do the same at once.
func publish(work, folder string) (err error) {
	aside := work + workPrefix
	for range 10 {
		if err = os.Rename(work, folder); err == nil {
			return nil
		}
		if _, damage := readManifest(folder); damage == nil {
			return nil
		}
		moved := os.Rename(folder, aside)
		os.RemoveAll(aside)
		if moved != nil && !errors.Is(moved, fs.ErrNotExist) {
			return fmt.Errorf("replace damaged shards: %w; delete %s", moved, folder)
		}
	}
	return err
}

// openPublished opens a folder that was there a moment ago: another process that had found it damaged may be putting its
// own in its place.
func openPublished(folder string) (s *Shards, err error) {
	for wait := time.Millisecond; wait < time.Second; wait *= 2 {
		if s, err = openShards(folder); err == nil {
			return s, nil
		}
		time.Sleep(wait)
	}
	return nil, err
}

// workPrefix marks folders that are not shards: work under way.
const workPrefix = ".work-"

// sweep removes the work of killed processes: what nobody has written to for a day.
func sweep(dir string) {
	left, _ := fs.Glob(os.DirFS(dir), workPrefix+"*")
	for _, name := range left {
		if work := filepath.Join(dir, name); time.Since(lastWritten(work)) > 24*time.Hour {
			os.RemoveAll(work)
		}
	}
}

func lastWritten(folder string) time.Time {
	var last time.Time
	files, _ := fs.Glob(os.DirFS(folder), "*")
	for _, name := range append(files, ".") {
		if info, err := os.Stat(filepath.Join(folder, name)); err == nil && info.ModTime().After(last) {
			last = info.ModTime()
		}
	}
	return last
}
