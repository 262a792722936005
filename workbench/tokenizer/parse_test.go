package tokenizer

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// smallJSON is the tokenizer.json of a tokenizer with two merges: "ab" is 256
// and "abab" 257.
func smallJSON(t testing.TB) string {
	tok, err := Train(texts("abab"), 265+2)
	require.NoError(t, err)
	data, err := tok.JSON()
	require.NoError(t, err)
	return string(data)
}

func TestParseReadsBackWhatJSONWrites(t *testing.T) {
	data, err := trained().JSON()
	require.NoError(t, err)
	require.True(t, json.Valid(data))
	again, err := Parse(data)
	require.NoError(t, err)
	require.Equal(t, trained().Hash(), again.Hash())
	require.Equal(t, trained().Encode(prose), again.Encode(prose))
	require.Equal(t, trained().ByteLengths(), again.ByteLengths())
	twice, err := again.JSON()
	require.NoError(t, err)
	require.Equal(t, string(data), string(twice))
}

func TestMergesAreStringsUnlessALeftTokenLooksLikeAComment(t *testing.T) {
	require.Contains(t, smallJSON(t), `"merges": [
      "a b",
      "ab ab"
    ]`)
	tok, err := Train(texts("#version", "#version", "#versions"), 265+8)
	require.NoError(t, err)
	data, err := tok.JSON()
	require.NoError(t, err)
	require.Contains(t, string(data), `["#version", "s"]`)
	again, err := Parse(data)
	require.NoError(t, err)
	require.Equal(t, tok.Hash(), again.Hash())

	_, err = Parse([]byte(strings.Replace(string(data), `["#version", "s"]`, `"#version s"`, 1)))
	require.ErrorContains(t, err, `"#version s" is a comment to Hugging Face`)
}

func TestHashChangesWithWhatDeterminesEncoding(t *testing.T) {
	hashes := map[string]string{}
	edits := map[string][]string{
		"the original": nil,
		"a special":    {"<|user_end|>", "<|user_stop|>"},
		"two ids":      {`"!": 33`, `"!": 34`, `"\"": 34`, `"\"": 33`},
		"a merge":      {`"ab": 256`, `"ba": 256`, `"abab": 257`, `"baba": 257`, `"a b"`, `"b a"`, `"ab ab"`, `"ba ba"`},
	}
	for name, edit := range edits {
		tok, err := Parse([]byte(strings.NewReplacer(edit...).Replace(smallJSON(t))))
		require.NoError(t, err, name)
		require.Len(t, tok.Hash(), 64)
		require.Empty(t, hashes[tok.Hash()], "%s hashes like %s", name, hashes[tok.Hash()])
		hashes[tok.Hash()] = name
	}
}

func TestParseAcceptsVariantsThatEncodeAlike(t *testing.T) {
	original, err := Parse([]byte(smallJSON(t)))
	require.NoError(t, err)
	cases := []struct{ name, old, new string }{
		{"a merge as a pair", `"a b"`, `["a", "b"]`},
		{"a special listed in the vocabulary", `"abab": 257`, `"abab": 257, "<|bos|>": 258`},
		{"ignore_merges, where merges give every token", `"ignore_merges": false`, `"ignore_merges": true`},
		{"a ByteLevel post-processor", `"post_processor": null`, `"post_processor": {"type": "ByteLevel"}`},
		{"empty affixes", `"end_of_word_suffix": null`, `"end_of_word_suffix": ""`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			tok, err := Parse([]byte(strings.Replace(smallJSON(t), c.old, c.new, 1)))
			require.NoError(t, err)
			require.Equal(t, original.Hash(), tok.Hash())
		})
	}
}

func TestAVocabularyInAnyOrderEncodesByItsOwnIds(t *testing.T) {
	shuffled := strings.NewReplacer(`"a": 97`, `"a": 257`, `"abab": 257`, `"abab": 97`).Replace(smallJSON(t))
	tok, err := Parse([]byte(shuffled))
	require.NoError(t, err)
	require.Equal(t, []int32{97, 256, 257}, tok.Encode("abababa"))
	require.Equal(t, "abababa", tok.Decode([]int32{97, 256, 257}))
}

func TestParseRefusesWhatItCannotReproduce(t *testing.T) {
	cases := []struct{ name, old, new, want string }{
		{"an id taken twice", `"ab": 256`, `"ab": 255`, "which is taken; ids must be distinct"},
		{"an id out of range", `"ab": 256`, `"ab": 4294967552`, `token "ab" has id 4294967552, outside 0 to 266; ids must be consecutive`},
		{"a negative id", `"ab": 256`, `"ab": -1`, "ids must be consecutive"},
		{"an id that is no integer", `"ab": 256`, `"ab": 1.5`, `id of token "ab"`},
		{"an id that is null", `"Ā": 0`, `"Ā": null`, `id of token "Ā": is null`},
		{"a token twice", `"ab": 256`, `"a": 256`, `token "a" is empty or appears twice`},
		{"an empty token", `"ab": 256`, `"": 256`, `token "" is empty or appears twice`},
		{"a missing byte", `"!": 33`, `"!!": 33`, "no token for byte 0x21"},
		{"a token outside the byte alphabet", `"ab": 256`, `"a b": 256`, "outside the byte alphabet"},
		{"a lone surrogate", `"ab": 256`, `"\ud800": 256`, "outside the byte alphabet"},
		{"a merge of an unknown token", `"a b"`, `"a xyz"`, `merge 0 of "a" and "xyz": both and their concatenation must be tokens`},
		{"a merge to an unknown token", `"a b"`, `"b a"`, `merge 0 of "b" and "a": both and their concatenation must be tokens`},
		{"a merge twice", `"ab ab"`, `"a b"`, `merge 1 of "a" and "b" appears twice`},
		{"a merge of three", `"a b"`, `"a b c"`, "must be two tokens"},
		{"a merge of one", `"a b"`, `["a"]`, "list of two tokens"},
		{"a merge that is a number", `"a b"`, `7`, "list of two tokens"},
		{"a merge with nothing", `"a b"`, `["", "a"]`, "must be tokens of model.vocab"},
		{"a vocabulary that is a list", `"vocab": {`, `"vocab": [], "x": {`, "model.vocab must be an object"},
		{"a special without BOS", "<|bos|>", "<|start|>", `special token "<|bos|>" is missing`},
		{"a special twice", "<|user_end|>", "<|bos|>", `added token "<|bos|>" appears twice`},
		{"specials with one id", `"id": 259`, `"id": 258`, "both have id 258"},
		{"a special with a far id", `"id": 259`, `"id": 99999999999`, "ids must be consecutive"},
		{"a special over a byte", `"id": 259`, `"id": 97`, `token "<|user_start|>" has id 97, which is taken`},
		{"a special whose name is a token", "<|user_end|>", "ab", `token "ab" has id 256 in model.vocab and 260 in added_tokens`},
		{"an empty special", "<|user_end|>", "", "is empty"},
		{"an added token that is not special", `"special": true`, `"special": false`, "is not special"},
		{"another pattern", `{1,2}`, `{1,3}`, "split pattern"},
		{"a prefix space", `"add_prefix_space": false`, `"add_prefix_space": true`, "add_prefix_space false"},
		{"a second split", `"use_regex": false`, `"use_regex": true`, "use_regex false"},
		{"another pre-tokenizer", `"type": "Sequence"`, `"type": "Whitespace"`, "pre_tokenizer must be a Sequence"},
		{"a merging split", `"Isolated"`, `"Removed"`, "Isolated"},
		{"another model", `"type": "BPE"`, `"type": "Unigram"`, `model.type "Unigram" is not supported`},
		{"a normalizer", `"normalizer": null`, `"normalizer": {"type": "NFC"}`, "normalizer is not supported"},
		{"a template", `"post_processor": null`, `"post_processor": {"type": "TemplateProcessing"}`, "post_processor"},
		{"another decoder", `"decoder": {"type": "ByteLevel"`, `"decoder": {"type": "Metaspace"`, "decoder is not supported"},
		{"dropout", `"dropout": null`, `"dropout": 0.1`, "model.dropout 0.1"},
		{"a suffix", `"end_of_word_suffix": null`, `"end_of_word_suffix": "</w>"`, "end_of_word_suffix"},
		{"ignore_merges with a token that merges do not give", `"merges": [`, `"ignore_merges": true, "merges": [], "x": [`, "only 256 of 258 tokens are reachable"},
		{"a wrong type", `"added_tokens": [`, `"added_tokens": 3, "x": [`, "added_tokens"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			valid := smallJSON(t)
			require.Contains(t, valid, c.old)
			hostile := strings.Replace(valid, c.old, c.new, 1)
			_, err := Parse([]byte(hostile))
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, "parse tokenizer.json: ")
			require.NotContains(t, err.Error(), "\n")
		})
	}
	for cut := range len(smallJSON(t)) - 2 {
		_, err := Parse([]byte(smallJSON(t)[:cut]))
		require.Error(t, err, "cut at %d", cut)
	}
}

// FuzzParse varies the three lists of a valid file, for most mutations of a
// whole file would only break its JSON.
func FuzzParse(f *testing.F) {
	valid := smallJSON(f)
	f.Add(`"ab": 256, "abab": 257`, `"a b", "ab ab"`, `"id": 266`)
	f.Add(`"ab": 256, "aba": 257`, `["a", "b"], ["ab", "a"]`, `"id": 266`)
	f.Add(`"aa": 256, "aaa": 257, "<|output_end|>": 266`, `"a aa", "aa a", "a a"`, `"id": 266`)
	f.Fuzz(func(t *testing.T, vocab, merges, lastSpecial string) {
		data := strings.NewReplacer(
			`"ab": 256,`, vocab, `"abab": 257`, "",
			`"a b",`, merges, `"ab ab"`, "",
			`"id": 266`, lastSpecial).Replace(valid)
		tok, err := Parse([]byte(data))
		if err != nil {
			require.Nil(t, tok)
			return
		}
		for _, text := range []string{prose, "abab\xff", strings.Repeat("aab", 100)} {
			require.Equal(t, text, tok.Decode(tok.Encode(text)))
		}
		written, err := tok.JSON()
		require.NoError(t, err)
		again, err := Parse(written)
		require.NoError(t, err)
		require.Equal(t, tok.Hash(), again.Hash())
	})
}

func FuzzParseOfAnyBytes(f *testing.F) {
	f.Add([]byte(`{"model": {"type": "BPE", "vocab": null}}`))
	f.Add([]byte(`{"added_tokens": [{"id": 0, "content": "<|bos|>", "special": true}], "decoder": {"type": "ByteLevel"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, err := Parse(data)
		require.Error(t, err, "no short input is a whole tokenizer")
	})
}
