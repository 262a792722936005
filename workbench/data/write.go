package data

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"os"
	"path/filepath"
)

// shardTokens is where a shard file ends: it takes no document after this many tokens.
const shardTokens = 64 << 20

// splitWriter writes the files of one split.
type splitWriter struct {
	folder   string
	split    Split
	width    int64
	limit    int64 // tokens a shard
	manifest splitManifest
	index    *sumFile
	shard    *sumFile
	inShard  int64
	scratch  []byte
}

func newSplitWriter(folder string, split Split, width, limit int64) (*splitWriter, error) {
	index, err := createSumFile(folder, string(split)+"-index.bin")
	if err != nil {
		return nil, err
	}
	return &splitWriter{folder: folder, split: split, width: width, limit: limit, index: index}, nil
}

// add writes the tokens of one document, whose text had size bytes.
func (w *splitWriter) add(tokens []int32, size int64) error {
	if w.shard != nil && w.inShard >= w.limit {
		if err := w.endShard(); err != nil {
			return err
		}
	}
	if w.shard == nil {
		var err error
		name := fmt.Sprintf("%s-%05d.bin", w.split, len(w.manifest.Shards))
		if w.shard, err = createSumFile(w.folder, name); err != nil {
			return err
		}
	}
	w.scratch = w.scratch[:0]
	for _, token := range tokens {
		if w.width == 2 {
			w.scratch = binary.LittleEndian.AppendUint16(w.scratch, uint16(token))
		} else {
			w.scratch = binary.LittleEndian.AppendUint32(w.scratch, uint32(token))
		}
	}
	if err := w.shard.write(w.scratch); err != nil {
		return err
	}
	count := int64(len(tokens))
	w.inShard += count
	w.manifest.Documents++
	w.manifest.Tokens += count
	w.manifest.Bytes += size
	return w.index.write(binary.LittleEndian.AppendUint64(w.scratch[:0], uint64(w.manifest.Tokens)))
}

func (w *splitWriter) endShard() error {
	entry, err := w.shard.close()
	w.shard, w.inShard = nil, 0
	w.manifest.Shards = append(w.manifest.Shards, entry)
	return err
}

// finish completes the files and returns what the manifest says of them.
func (w *splitWriter) finish() (*splitManifest, error) {
	if w.shard != nil {
		if err := w.endShard(); err != nil {
			return nil, err
		}
	}
	var err error
	w.manifest.Index, err = w.index.close()
	w.index = nil
	return &w.manifest, err
}

// abandon closes the files that finish did not.
func (w *splitWriter) abandon() {
	for _, file := range []*sumFile{w.index, w.shard} {
		if file != nil {
			file.f.Close()
		}
	}
}

// sumFile is a file that is digested while it is written. It is not synced: what
// a power cut spoils, the sums will tell, and it is made again.
type sumFile struct {
	f    *os.File
	w    *bufio.Writer
	hash hash.Hash
	size int64
}

func createSumFile(folder, name string) (*sumFile, error) {
	f, err := os.Create(filepath.Join(folder, name))
	if err != nil {
		return nil, err
	}
	return &sumFile{f: f, w: bufio.NewWriterSize(f, 1<<20), hash: sha256.New()}, nil
}

func (s *sumFile) write(p []byte) error {
	s.hash.Write(p)
	s.size += int64(len(p))
	_, err := s.w.Write(p)
	return err
}

func (s *sumFile) close() (fileEntry, error) {
	err := s.w.Flush()
	if closeErr := s.f.Close(); err == nil {
		err = closeErr
	}
	return fileEntry{Name: filepath.Base(s.f.Name()), Size: s.size, SHA256: hexSum(s.hash)}, err
}
