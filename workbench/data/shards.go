package data

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"sort"
)

// Shards is a tokenised corpus on disk, or those of a mixture one after the other. Tokenize makes it. Documents are
// read from the disk as they are asked for. It is safe for concurrent use.
type Shards struct {
	folders []*shardFolder
	weights []float64 // of the folders in a mixture: positive, with the sum 1
}

// shardFolder is the tokens of one corpus.
type shardFolder struct {
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
	s := &shardFolder{manifest: m, splits: make(map[Split]*splitReader)}
	for split, sm := range m.Splits {
		r := &splitReader{splitManifest: sm, width: m.tokenWidth()}
		s.splits[split] = r
		if err := r.open(folder); err != nil {
			s.close()
			return nil, fmt.Errorf("open shards: %w", err)
		}
	}
	return &Shards{folders: []*shardFolder{s}, weights: []float64{1}}, nil
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
	for _, folder := range s.folders {
		if err := folder.close(); err != nil && first == nil {
			first = err
		}
	}
	return first
}

func (s *shardFolder) close() error {
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

// Part is one corpus of a mixture, or the only one.
type Part struct {
	Name      string
	Weight    float64 // its share of the tokens of training
	Documents map[Split]int64
	Tokens    map[Split]int64
	Skipped   int64 // rows without text, which became no document
}

// Parts lists what the shards are of.
func (s *Shards) Parts() []Part {
	var parts []Part
	for i, folder := range s.folders {
		p := Part{folder.manifest.Corpus, s.weights[i], map[Split]int64{}, map[Split]int64{}, folder.manifest.Skipped}
		for split, r := range folder.splits {
			p.Documents[split], p.Tokens[split] = r.splitManifest.Documents, r.splitManifest.Tokens
		}
		parts = append(parts, p)
	}
	return parts
}

// sum adds up a number of each folder's split.
func (s *Shards) sum(split Split, of func(*splitManifest) int64) int64 {
	total := int64(0)
	for _, folder := range s.folders {
		if r := folder.splits[split]; r != nil {
			total += of(r.splitManifest)
		}
	}
	return total
}

// Documents is the number of documents in split.
func (s *Shards) Documents(split Split) int64 {
	return s.sum(split, func(m *splitManifest) int64 { return m.Documents })
}

// Tokens is the number of tokens in split, with one BOS a document.
func (s *Shards) Tokens(split Split) int64 {
	return s.sum(split, func(m *splitManifest) int64 { return m.Tokens })
}

// Bytes is the number of bytes of text in split.
func (s *Shards) Bytes(split Split) int64 {
	return s.sum(split, func(m *splitManifest) int64 { return m.Bytes })
}

// VocabSize is that of the encoder: every token is below it.
func (s *Shards) VocabSize() int { return s.folders[0].manifest.Vocabulary }

// BOS is the token that begins each document.
func (s *Shards) BOS() int32 { return s.folders[0].manifest.BOS }

// Content identifies the tokens: corpora with the same Content give the same
// batches, wherever they lie and whatever they are called.
func (s *Shards) Content() string {
	if len(s.folders) == 1 {
		return s.folders[0].manifest.content()
	}
	var text []byte
	for i, folder := range s.folders {
		text = fmt.Appendf(text, "%s %g\n", folder.manifest.content(), s.weights[i])
	}
	return digest(text)
}

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
	within, tokens := document, int64(0) // within its folder; tokens of the folders before
	for _, folder := range s.folders {
		r := folder.splits[split]
		switch {
		case r == nil:
		case within >= 0 && within < r.splitManifest.Documents:
			if start, end, err = r.bounds(within); err != nil {
				return 0, 0, fmt.Errorf("read document %d of %s: %w", document, split, err)
			}
			return tokens + start, tokens + end, nil
		default:
			within -= r.splitManifest.Documents
			tokens += r.splitManifest.Tokens
		}
	}
	return 0, 0, fmt.Errorf("read document %d of %s: there are %d", document, split, s.Documents(split))
}

func (r *splitReader) bounds(document int64) (start, end int64, err error) {
	// The end of the document before is the start of this one.
	var entries [16]byte
	part := entries[:]
	if document == 0 {
		part = entries[8:]
	}
	if _, err := r.index.ReadAt(part, 8*document+8-int64(len(part))); err != nil {
		return 0, 0, err
	}
	start = int64(binary.LittleEndian.Uint64(entries[:8]))
	end = int64(binary.LittleEndian.Uint64(entries[8:]))
	return start, end, nil
}

// read fills dst with the tokens of split from position on. They must lie in
// one shard, as those of a document do.
func (s *Shards) read(dst []int32, split Split, position int64) error {
	for _, folder := range s.folders {
		r := folder.splits[split]
		if position < r.splitManifest.Tokens {
			if err := r.read(dst, position); err != nil {
				return fmt.Errorf("read tokens of %s: %w", split, err)
			}
			return nil
		}
		position -= r.splitManifest.Tokens
	}
	return fmt.Errorf("read tokens of %s: position %d is %d beyond the last", split, s.Tokens(split)+position, position)
}

func (r *splitReader) read(dst []int32, position int64) error {
	shard := sort.Search(len(r.first), func(i int) bool { return r.first[i] > position }) - 1
	var stack [4096]byte
	room := len(stack) / int(r.width)
	for offset := position - r.first[shard]; len(dst) > 0; {
		count := min(len(dst), room)
		raw := stack[:count*int(r.width)]
		if _, err := r.shards[shard].ReadAt(raw, offset*r.width); err != nil {
			return err
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
