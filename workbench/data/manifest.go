package data

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
)

// A shard folder holds, besides manifest.json, for each split:
//
//	SPLIT-index.bin   for each document the position after its last token, counted
//	                  from the first token of the split: 64-bit little-endian
//	SPLIT-00000.bin … the tokens of the documents, BOS first in each: little-endian,
//	                  16-bit if the vocabulary has at most 65,536 ids, else 32-bit
//
// A document is never spread over files.
const shardFormat = 1

const (
	manifestFile = "manifest.json"
	manifestMax  = 64 << 20
)

// manifest describes a shard folder and is written last.
type manifest struct {
	Format      int                      `json:"format"`
	Corpus      string                   `json:"corpus"`
	Fingerprint string                   `json:"fingerprint"`
	Encoder     string                   `json:"encoder"` // its Hash
	Vocabulary  int                      `json:"vocabulary"`
	BOS         int32                    `json:"bos"`
	Skipped     int64                    `json:"skipped,omitempty"` // rows without text
	Splits      map[Split]*splitManifest `json:"splits"`
	Sum         string                   `json:"sum"` // of this manifest while Sum is empty
}

type splitManifest struct {
	Documents int64       `json:"documents"`
	Tokens    int64       `json:"tokens"` // BOS included
	Bytes     int64       `json:"bytes"`  // of text
	Index     fileEntry   `json:"index"`
	Shards    []fileEntry `json:"shards"`
}

type fileEntry struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// tokenWidth is the number of bytes that a token id takes on disk.
func (m *manifest) tokenWidth() int64 {
	if m.Vocabulary <= 1<<16 {
		return 2
	}
	return 4
}

func (m *manifest) sum() string {
	unsummed := *m
	unsummed.Sum = ""
	text, err := json.Marshal(unsummed)
	if err != nil {
		return "" // cannot happen: there is nothing in it that JSON lacks
	}
	return digest(text)
}

// content identifies the tokens and their order, whatever the corpus is called
// or where it lies.
func (m *manifest) content() string {
	text, _ := json.Marshal([]any{m.Encoder, m.Vocabulary, m.BOS, m.Splits})
	return digest(text)
}

func digest(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

func (m *manifest) write(folder string) error {
	m.Sum = m.sum()
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, manifestFile), append(text, '\n'), 0o666)
}

// readManifest reads the manifest of folder and checks it and every file that
// it names, whole: reading is far quicker than tokenising, and a flipped bit
// would otherwise train a model on noise.
func readManifest(folder string) (*manifest, error) {
	f, err := os.Open(filepath.Join(folder, manifestFile))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var m manifest
	if err := json.NewDecoder(io.LimitReader(f, manifestMax)).Decode(&m); err != nil {
		return nil, err
	}
	if m.Format != shardFormat || m.Sum != m.sum() {
		return nil, errors.New("the manifest does not add up")
	}
	var files []fileEntry
	for _, split := range []Split{Train, Validation} {
		s := m.Splits[split]
		if s == nil {
			return nil, fmt.Errorf("the manifest lacks the split %s", split)
		}
		files = append(append(files, s.Index), s.Shards...)
	}
	for _, err := range ordered(all(files), func(file fileEntry) (struct{}, error) {
		return struct{}{}, file.verify(folder)
	}) {
		if err != nil {
			return nil, err
		}
	}
	return &m, nil
}

func (e fileEntry) verify(folder string) error {
	f, err := os.Open(filepath.Join(folder, e.Name))
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	size, err := io.CopyBuffer(h, f, make([]byte, 1<<20))
	if err != nil {
		return err
	}
	if size != e.Size || hexSum(h) != e.SHA256 {
		return fmt.Errorf("%s is damaged", e.Name)
	}
	return nil
}

func hexSum(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }
