package models_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tandem/models"
)

func TestPatternFormsOfTheSameLayersAreEqual(t *testing.T) {
	want := models.Pattern(strings.Repeat("T", 12) + strings.Repeat("M", 8))
	list := strings.Repeat(`"T", `, 12) + strings.Repeat(`"mamba", `, 7) + `"m"`
	for _, text := range []string{
		"T12 M8", "t12m8", " T 12\nM 8 ", "TTTTTTTTTTTTMMMMMMMM", "T6(T)6 M8", "(T4)3((M2)2)2", "[" + list + "]",
		"[" + strings.ReplaceAll(list, `"`, "") + "]",
	} {
		pattern, err := models.ParsePattern(text)
		require.NoError(t, err, text)
		require.Equal(t, want, pattern, text)
	}
	var fromJSON models.Pattern
	require.NoError(t, json.Unmarshal([]byte("["+strings.ReplaceAll(list, `"T"`, `"transformer"`)+"]"), &fromJSON))
	require.Equal(t, want, fromJSON)
}

func TestCanonicalPatterns(t *testing.T) {
	for text, want := range map[string]string{
		"TTTT": "T4", "T": "T", "TM": "T M", "TMTM": "(TM)2", "TMTMT": "T M T M T", "(T2M)4": "(T2M)4",
		"T2 M7 T M6 T M T2": "T2 M7 T M6 T M T2", "MMMM TTTT": "M4 T4",
	} {
		pattern, err := models.ParsePattern(text)
		require.NoError(t, err)
		require.Equal(t, want, pattern.String())
	}
}

func TestPatternErrorsNameTheColumnAndTheRemedy(t *testing.T) {
	const kinds = "there are T (transformer), M (mamba)"
	for text, want := range map[string]string{
		"T12 X8":     `pattern "T12 X8": column 5: unknown block 'X'; ` + kinds,
		"":           `pattern "": it is empty; write for example "T12 M8"`,
		"T0":         `pattern "T0": column 2: a block cannot be repeated 0 times`,
		"T99999":     `pattern "T99999": column 2: more than 4096 layers`,
		"(T4000)2":   `pattern "(T4000)2": column 1: more than 4096 layers`,
		"(TM":        `pattern "(TM": column 1: this group is not closed by )`,
		"T)":         `pattern "T)": column 2: unknown block ')'; ` + kinds,
		"()3":        `pattern "()3": column 1: this group is empty; put blocks in it: T (transformer), M (mamba)`,
		"12T":        `pattern "12T": column 1: unknown block '1'; ` + kinds,
		"T1 2":       `pattern "T1 2": column 4: unknown block '2'; ` + kinds,
		"T é":        `pattern "T é": column 3: unknown block 'é'; ` + kinds,
		`["T", "Q"]`: `pattern entry 2: unknown block "Q"; ` + kinds,
		"[T":         `pattern "[T": column 3: the list is not closed by ]`,
		"[]":         `pattern []: it is empty; write for example "T12 M8"`,
	} {
		_, err := models.ParsePattern(text)
		require.EqualError(t, err, want)
	}
	_, err := models.ParsePattern(strings.Repeat("(", 100) + "T" + strings.Repeat(")", 100))
	require.ErrorContains(t, err, "column 65: groups nest more than 64 deep")
}

func FuzzPattern(f *testing.F) {
	for _, seed := range []string{"T12 M8", "(TM)10", "((T2M)3T)2", "[T, mamba]", "T(", "9"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		pattern, err := models.ParsePattern(text)
		if err != nil {
			return
		}
		require.NotEmpty(t, pattern)
		again, err := models.ParsePattern(pattern.String())
		require.NoError(t, err)
		require.Equal(t, pattern, again)
		require.Equal(t, pattern.String(), again.String())
	})
}
