package data

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"sort"
)

// Shards is a tokenised corpus on disk. Tokenize makes it. Documents are read
// from the disk as they are asked for. It is safe for concurrent use.
type Shards struct {
	manifest *manifest
	splits   map[Split]*splitReader
}

type splitReader struct {
	*splitManifest
	width  int64 // bytes a token
	index  *os.File
	shards []*os.File
	first  []int64 // position of each shard's first token
}

// openShards opens a folder whose files are all as its manifest says.
func openShards(folder string) (*Shards, error) {
	m, err := readManifest(folder)
	if err != nil {
		return nil, fmt.Errorf("open shards %s: %w", folder, err)
	}
	s := &Shards{manifest: m, splits: make(map[Split]*splitReader)}
	for split, sm := range m.Splits {
		r := &splitReader{splitManifest: sm, width: m.tokenWidth()}
		s.splits[split] = r
		if err := r.open(folder); err != nil {
			s.Close()
			return nil, fmt.Errorf("open shards: %w", err)
		}
	}
	return s, nil
}

func (r *splitReader) open(folder string) (err error) {
	if r.index, err = os.Open(filepath.Join(folder, r.Index.Name)); err != nil {
		return err
	}
	position := int64(0)
	for _, shard := range r.Shards {
		f, err := os.Open(filepath.Join(folder, shard.Name))
		if err != nil {
			return err
		}
		r.shards = append(r.shards, f)
		r.first = append(r.first, position)
		position += shard.Size / r.width
	}
	return nil
}

// Close closes the files. The cache stays.
func (s *Shards) Close() error {
	var first error
	for _, r := range s.splits {
		for _, f := range append([]*os.File{r.index}, r.shards...) {
			if f == nil {
				continue
			}
			if err := f.Close(); err != nil && first == nil {
				first = err
			}
		}
	}
	return first
}

// Documents is the number of documents in split.
func (s *Shards) Documents(split Split) int64 {
	if r := s.splits[split]; r != nil {
		return r.splitManifest.Documents
	}
	return 0
}

// Tokens is the number of tokens in split, with one BOS a document.
func (s *Shards) Tokens(split Split) int64 {
	if r := s.splits[split]; r != nil {
		return r.splitManifest.Tokens
	}
	return 0
}

// Bytes is the number of bytes of text in split.
func (s *Shards) Bytes(split Split) int64 {
	if r := s.splits[split]; r != nil {
		return r.splitManifest.Bytes
	}
	return 0
}

// VocabSize is that of the encoder: every token is below it.
func (s *Shards) VocabSize() int { return s.manifest.Vocabulary }

// BOS is the token that begins each document.
func (s *Shards) BOS() int32 { return s.manifest.BOS }

// Content identifies the tokens: corpora with the same Content give the same
// batches, wherever they lie and whatever they are called.
func (s *Shards) Content() string { return s.manifest.content() }

// AppendDocument appends the tokens of one document, BOS first, to dst.
// Documents are numbered from 0 to Documents(split)-1 in the order of the corpus.
func (s *Shards) AppendDocument(dst []int32, split Split, document int64) ([]int32, error) {
	start, end, err := s.bounds(split, document)
	if err != nil {
		return dst, err
	}
	at := len(dst)
	dst = append(dst, make([]int32, end-start)...)
	return dst, s.read(dst[at:], split, start)
}

// bounds gives the positions in split of a document's first token and of the
// token after its last.
func (s *Shards) bounds(split Split, document int64) (start, end int64, err error) {
	if document < 0 || document >= s.Documents(split) {
		return 0, 0, fmt.Errorf("read document %d of %s: there are %d", document, split, s.Documents(split))
	}
	// The end of the document before is the start of this one.
	var entries [16]byte
	part := entries[:]
	if document == 0 {
		part = entries[8:]
	}
	if _, err := s.splits[split].index.ReadAt(part, 8*document+8-int64(len(part))); err != nil {
		return 0, 0, fmt.Errorf("read document %d of %s: %w", document, split, err)
	}
	start = int64(binary.LittleEndian.Uint64(entries[:8]))
	end = int64(binary.LittleEndian.Uint64(entries[8:]))
	return start, end, nil
}

// read fills dst with the tokens of split from position on. They must lie in
// one shard, as those of a document do.
func (s *Shards) read(dst []int32, split Split, position int64) error {
	r := s.splits[split]
	shard := sort.Search(len(r.first), func(i int) bool { return r.first[i] > position }) - 1
	var stack [4096]byte
	room := len(stack) / int(r.width)
	for offset := position - r.first[shard]; len(dst) > 0; {
		count := min(len(dst), room)
		raw := stack[:count*int(r.width)]
		if _, err := r.shards[shard].ReadAt(raw, offset*r.width); err != nil {
			return fmt.Errorf("read tokens of %s: %w", split, err)
		}
		for i := range dst[:count] {
			if r.width == 2 {
				dst[i] = int32(binary.LittleEndian.Uint16(raw[2*i:]))
			} else {
				dst[i] = int32(binary.LittleEndian.Uint32(raw[4*i:]))
			}
		}
		dst, offset = dst[count:], offset+int64(count)
	}
	return nil
}
