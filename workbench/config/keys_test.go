package config_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tandem/blocks"
	"tandem/workbench/config"
)

func TestKeysAreTheJSONNamesOfTheStructsTheySet(t *testing.T) {
	keys := config.Keys()
	require.Subset(t, keys, []string{"run", "pattern", "depth", "width", "vocab", "context", "data", "backend", "steps", "batch",
		"save_every", "eval_every", "log_every", "seed", "sample_prompt", "sample_tokens", "mamba.state", "transformer.kv_heads"})
	require.NotContains(t, keys, "name")
	sorted := slices.Sorted(slices.Values(keys))
	require.Len(t, slices.Compact(sorted), len(keys), "a key occurs twice")
	for _, kind := range blocks.Kinds {
		options := reflect.TypeOf(kind.New()).Elem()
		for i := range options.NumField() {
			option, _, _ := strings.Cut(options.Field(i).Tag.Get("json"), ",")
			require.Contains(t, keys, kind.Name+"."+option)
		}
	}
}

func TestEveryKeyIsDescribedInOneLine(t *testing.T) {
	for _, key := range config.Keys() {
		require.NotEmpty(t, config.Describe(key), key)
		require.NotContains(t, config.Describe(key), "\n", key)
		require.NotContains(t, config.Describe(key), "()", key)
	}
	require.Empty(t, config.Describe("stepps"))
	require.Contains(t, config.Describe("steps"), "(1000 unless given; 360 in tiny)")
	require.Contains(t, config.Describe("mamba.state"), "(16 unless given; 8 in tiny)")
	require.Contains(t, config.Describe("mamba.conv"), "(4 unless given)")
}

// values holds a value for each key that does not take 24, and other values that it needs beside it.
var values = map[string][]string{
	"run": {"text"}, "data": {"text"}, "backend": {"text"}, "sample_prompt": {"some text"},
	"pattern": {"T2 M"}, "depth": {"4"}, "vocab": {"300"},
	"warmdown": {"0.5"}, "final_lr": {"0.5"},
	"matrix_lr": {"2.5"}, "embedding_lr": {"2.5"}, "head_lr": {"2.5"}, "scalar_lr": {"2.5"},
	"transformer.heads": {"2"}, "transformer.head_dim": {"16"}, "transformer.kv_heads": {"3", "transformer.heads=6"},
	"transformer.mask_documents": {"true"}, "mamba.mlp": {"true"}, "mamba.across_documents": {"true"},
}

func TestEveryKeyCanBeSetAndIsExplainedWithItsValue(t *testing.T) {
	for _, key := range config.Keys() {
		t.Run(key, func(t *testing.T) {
			value, beside := "24", []string{"pattern=T2 M2", "width=128"}
			if own, ok := values[key]; ok {
				value, beside = own[0], append(beside, own[1:]...)
			}
			c, err := config.Load("", append(beside, key+"="+value))
			require.NoError(t, err)
			explained := map[string]string{}
			for _, derived := range c.Derived() {
				require.NotEmpty(t, derived.Formula, derived.Key)
				explained[derived.Key] = fmt.Sprint(derived.Value)
			}
			require.Equal(t, value, explained[key])
		})
	}
}
