package data_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"tandem/workbench/data"
)

// letters is a tokenizer with an id for each byte; *tokenizer.Tokenizer is used in the same way.
type letters struct{}

func (letters) AppendEncode(dst []int32, text string) []int32 {
	for _, b := range []byte(text) {
		dst = append(dst, int32(b))
	}
	return dst
}
func (letters) BOS() int32     { return 256 }
func (letters) VocabSize() int { return 257 }
func (letters) Hash() string   { return "letters" }

func Example() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	lines := strings.Repeat("{\"text\": \"go\"}\n{\"text\": \"tandem\"}\n", 50)
	path := filepath.Join(dir, "lines.jsonl")
	if err := os.WriteFile(path, []byte(lines), 0o666); err != nil {
		panic(err)
	}

	corpus, err := data.Open(path)
	if err != nil {
		panic(err)
	}
	shards, err := data.Tokenize(context.Background(), corpus, letters{}, filepath.Join(dir, "cache"), nil)
	if err != nil {
		panic(err)
	}
	defer shards.Close()
	fmt.Println(shards.Documents(data.Train), "documents of", shards.Tokens(data.Train), "tokens")

	batches, err := data.NewBatches(shards, data.BatchOptions{Batch: 1, Time: 9})
	if err != nil {
		panic(err)
	}
	batch, err := batches.Next()
	if err != nil {
		panic(err)
	}
	fmt.Println("inputs   ", batch.Inputs)
	fmt.Println("targets  ", batch.Targets)
	fmt.Println("documents", batch.Documents)
	// Output:
	// 100 documents of 500 tokens
	// inputs    [256 103 111 256 116 97 110 100 101]
	// targets   [103 111 256 116 97 110 100 101 109]
	// documents [0 0 0 1 1 1 1 1 1]
}
