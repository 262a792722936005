package config

import (
	"fmt"
	"slices"
	"strings"

	"tandem/blocks"
)

// checkKey reports a key that does not exist, with the one that was probably meant and those that there are.
func checkKey(key string) error {
	if slices.Contains(Keys(), key) {
		return nil
	}
	options := map[string][]string{}
	var top []string
	for _, known := range Keys() {
		if kind, _, dotted := strings.Cut(known, "."); dotted {
			options[kind] = append(options[kind], known)
		} else {
			top = append(top, known)
		}
	}
	if own := options[key]; own != nil {
		return fmt.Errorf("%s: this is a group of keys; there are %s", key, strings.Join(own, ", "))
	}
	valid := options[strings.Split(key, ".")[0]]
	if valid == nil {
		valid = top
		for _, kind := range blocks.Kinds {
			valid = append(valid, kind.Name+".KEY")
		}
	}
	return fmt.Errorf("unknown key %q; %sthere are %s", key, DidYouMean(key, Keys()), strings.Join(valid, ", "))
}

// DidYouMean names the candidate nearest to what was written, if one is near: "did you mean "steps"? ". Candidates that
// are options of a block kind may be meant without the kind.
func DidYouMean(written string, candidates []string) string {
	written = strings.ToLower(strings.ReplaceAll(written, "-", "_"))
	if len(written) > 64 {
		return ""
	}
	nearest, least := "", len(written)/2+1
	for _, candidate := range candidates {
		_, option, _ := strings.Cut(candidate, ".")
		if d := min(distance(written, candidate), distance(written, option)); d < least {
			nearest, least = candidate, d
		}
	}
	if nearest == "" {
		return ""
	}
	return fmt.Sprintf("did you mean %q? ", nearest)
}

// distance is Levenshtein's: the least number of bytes to insert, delete or replace to turn a into b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, diagonal+1, row[j]+1)
		}
	}
	return row[len(b)]
}
