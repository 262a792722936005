package configs_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"tandem/configs"
)

func TestEveryYAMLFileOfTheFolderIsEmbedded(t *testing.T) {
	files, err := filepath.Glob("*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	entries, err := configs.Files.ReadDir(".")
	require.NoError(t, err)
	require.Len(t, entries, len(files))
	for i, entry := range entries {
		require.Equal(t, files[i], entry.Name())
		content, err := configs.Files.ReadFile(entry.Name())
		require.NoError(t, err)
		require.NotEmpty(t, content)
	}
}
