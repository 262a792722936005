package config

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAWrittenConfigurationReadsAsItself(t *testing.T) {
	for name, overrides := range map[string][]string{
		"tiny":                   nil,
		"rtx3070_d16":            {"run=mine", "batch=3"},
		"hybrid_alternating_d20": {"mamba.state=8", "transformer.kv_heads=5", "sample_prompt=yes: \"# no\"", "data=godoc:net/http"},
		"transformer_d20":        {"sample_prompt=? what"},
		"mamba_d20":              {"sample_prompt=func main() {\n\tprintln(\"a\tb\")\r\n}\n\n"},
	} {
		t.Run(name, func(t *testing.T) {
			want, err := Load(name, overrides)
			require.NoError(t, err)
			text, err := want.YAML()
			require.NoError(t, err)
			file := filepath.Join(t.TempDir(), name+".yaml")
			require.NoError(t, os.WriteFile(file, text, 0o600))
			got, err := Load(file, nil)
			require.NoError(t, err, string(text))
			want.Run = ""
			require.Equal(t, want.Resolved(), got.Resolved(), string(text))
			require.NotContains(t, string(text), "run:")
		})
	}
}
