package lab

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"

	"tandem/workbench/data"
	"tandem/workbench/tokenizer"
)

// CacheVariable names the environment variable that moves the folder of tokenizers and tokenised shards.
const CacheVariable = "TANDEM_CACHE"

// tokenizerBytes is the text that a tokenizer is trained on at most: more changes few merges.
const tokenizerBytes = 200 << 20

// cacheFolder is where tokenizers and shards are kept between runs.
func cacheFolder() (string, error) {
	if folder := os.Getenv(CacheVariable); folder != "" {
		return folder, nil
	}
	folder, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find a cache folder: %w; set %s to one", err, CacheVariable)
	}
	return filepath.Join(folder, "tandem"), nil
}

// prepared is a corpus ready to be trained on.
type prepared struct {
	tokenizer *tokenizer.Tokenizer
	shards    *data.Shards
}

// prepare opens a corpus, trains a tokenizer on its training split (or uses the one given) and tokenises it; both are
// kept and found again next time.
func prepare(ctx context.Context, spec string, vocab int, tok *tokenizer.Tokenizer, say func(string)) (*prepared, error) {
	cache, err := cacheFolder()
	if err != nil {
		return nil, err
	}
	corpus, err := data.OpenWith(ctx, spec, data.Options{Say: say, Progress: downloads(say)})
	if err != nil {
		return nil, err
	}
	if tok == nil {
		if tok, err = cachedTokenizer(ctx, corpus, vocab, filepath.Join(cache, "tokenizers"), say); err != nil {
			return nil, err
		}
	}
	say(fmt.Sprintf("corpus %s: tokenising", corpus.Name()))
	now := seldom()
	shards, err := data.Tokenize(ctx, corpus, tok, filepath.Join(cache, "shards"), func(documents int, bytes int64) {
		if now() {
			say(fmt.Sprintf("corpus %s: %d documents, %.1f MB tokenised", corpus.Name(), documents, megabytes(bytes)))
		}
	})
	if err != nil {
		return nil, err
	}
	describeCorpus(corpus.Name(), shards, say)
	return &prepared{tok, shards}, nil
}

// PrepareCorpus does all that needs no model: it trains the tokenizer, tokenises the corpus, and keeps both where a training
// finds them. tokens is what there is to train on.
func PrepareCorpus(ctx context.Context, spec string, vocab int, say func(string)) (tok *tokenizer.Tokenizer, tokens int64, err error) {
	corpus, err := prepare(ctx, spec, vocab, nil, say)
	if err != nil {
		return nil, 0, err
	}
	tokens = corpus.shards.Tokens(data.Train)
	return corpus.tokenizer, tokens, corpus.shards.Close()
}

// describeCorpus says what there is to train on.
func describeCorpus(name string, shards *data.Shards, say func(string)) {
	train, held := shards.Documents(data.Train), shards.Documents(data.Validation)
	say(fmt.Sprintf("corpus %s: %d documents, %.1f MB, %.2fM tokens (%.2f bytes each) to train on; %d documents, %.1f MB held out",
		name, train, megabytes(shards.Bytes(data.Train)), float64(shards.Tokens(data.Train))/1e6,
		float64(shards.Bytes(data.Train))/float64(max(1, shards.Tokens(data.Train))), held, megabytes(shards.Bytes(data.Validation))))
	parts := shards.Parts()
	for _, part := range parts {
		if len(parts) > 1 {
			say(fmt.Sprintf("mixture: %.4g%% of the tokens from %s, which has %.2fM", 100*part.Weight, part.Name, float64(part.Tokens[data.Train])/1e6))
		}
		if part.Skipped > 0 {
			say(fmt.Sprintf("corpus %s: skipped %d rows without text", part.Name, part.Skipped))
		}
	}
}

func megabytes(bytes int64) float64 { return float64(bytes) / 1e6 }

// cachedTokenizer trains a tokenizer, or finds the one trained earlier on the same text.
func cachedTokenizer(ctx context.Context, corpus data.Corpus, vocab int, folder string, say func(string)) (*tokenizer.Tokenizer, error) {
	fingerprint, err := corpus.Fingerprint()
	if err != nil {
		return nil, err
	}
	key := sha256.Sum256([]byte(fmt.Sprintf("%s\n%s\n%d\n%d", corpus.Name(), fingerprint, vocab, tokenizerBytes)))
	path := filepath.Join(folder, fmt.Sprintf("%x.json", key[:12]))
	if found, err := tokenizer.Load(path); err == nil && found.VocabSize() == vocab {
		return found, nil
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		say(fmt.Sprintf("the cached tokenizer %s is unusable and is made anew: %v", path, err))
	}
	say(fmt.Sprintf("corpus %s: training a tokenizer of %d tokens", corpus.Name(), vocab))
	trained, err := tokenizer.Train(limited(ctx, data.Texts(corpus, data.Train), tokenizerBytes), vocab)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, fmt.Errorf("keep the tokenizer: %w; set %s to a folder that can be written", err, CacheVariable)
	}
	return trained, trained.Save(path)
}

// limited ends a stream of texts after so many bytes, or with the context's error.
func limited(ctx context.Context, texts iter.Seq2[string, error], bytes int) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		seen := 0
		for text, err := range texts {
			if ctx.Err() != nil {
				err = ctx.Err()
			}
			if !yield(text, err) || err != nil {
				return
			}
			if seen += len(text); seen >= bytes {
				return
			}
		}
	}
}
