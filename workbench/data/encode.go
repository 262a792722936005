package data

import (
	"fmt"
	"iter"
)

// Encoder turns text into token ids; *tokenizer.Tokenizer is one. It must be
// safe for concurrent use.
type Encoder interface {
	// AppendEncode appends the ids of text to dst, without BOS.
	AppendEncode(dst []int32, text string) []int32
	// BOS is the id that begins every document.
	BOS() int32
	// VocabSize is the number of ids: all are from 0 to VocabSize()-1.
	VocabSize() int
	// Hash changes whenever AppendEncode could give other ids.
	Hash() string
}

// Documents go to the cores by the parcel, for one alone is too little work.
const (
	parcelBytes     = 128 << 10
	parcelDocuments = 256
)

type encoded struct {
	tokens []int32 // of all the documents of a parcel
	each   []encodedDocument
}

type encodedDocument struct {
	end   int // in tokens
	size  int64
	split Split
}

// encodeAll tokenises documents on every core, BOS in front of each, in order.
func encodeAll(documents iter.Seq2[string, error], enc Encoder) iter.Seq2[encoded, error] {
	vocabulary, bos := enc.VocabSize(), enc.BOS()
	return ordered(parcels(documents), func(texts []string) (encoded, error) {
		var out encoded
		for _, text := range texts {
			start := len(out.tokens)
			out.tokens = enc.AppendEncode(append(out.tokens, bos), text)
			// Larger ids would be written as other tokens.
			for _, token := range out.tokens[start:] {
				if token < 0 || int(token) >= vocabulary {
					return out, fmt.Errorf("the encoder gave id %d, and its vocabulary has %d; mend the tokenizer", token, vocabulary)
				}
			}
			out.each = append(out.each, encodedDocument{len(out.tokens), int64(len(text)), SplitOf(text)})
		}
		return out, nil
	})
}

func parcels(documents iter.Seq2[string, error]) iter.Seq2[[]string, error] {
	return func(yield func([]string, error) bool) {
		var parcel []string
		size := 0
		for text, err := range documents {
			if err != nil {
				yield(nil, err)
				return
			}
			parcel = append(parcel, text)
			size += len(text)
			if size >= parcelBytes || len(parcel) >= parcelDocuments {
				if !yield(parcel, nil) {
					return
				}
				parcel, size = nil, 0
			}
		}
		if len(parcel) > 0 {
			yield(parcel, nil)
		}
	}
}

// all streams items, which cannot fail.
func all[Item any](items []Item) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		for _, item := range items {
			if !yield(item, nil) {
				return
			}
		}
	}
}
