package tokenizer_test

import (
	"fmt"

	"tandem/workbench/tokenizer"
)

func Example() {
	corpus := func(yield func(string, error) bool) {
		for _, text := range []string{"a new low", "a low, the new low"} {
			if !yield(text, nil) {
				return
			}
		}
	}
	// 256 bytes, 5 merges and 9 special tokens.
	t, err := tokenizer.Train(corpus, 256+5+9)
	if err != nil {
		fmt.Println(err)
		return
	}
	ids := append([]int32{t.BOS()}, t.Encode("new low")...)
	for _, id := range ids {
		fmt.Printf("%d %q\n", id, t.Token(id))
	}
	fmt.Println(t.Decode(ids))
	// Output:
	// 261 "<|bos|>"
	// 110 "n"
	// 260 "ew"
	// 258 " low"
	// <|bos|>new low
}
