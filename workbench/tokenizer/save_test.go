package tokenizer

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSaveReplacesTheFileAndLeavesNothingElse(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "tokenizer.json")
	require.NoError(t, os.WriteFile(path, []byte("an older file"), 0o644))
	require.NoError(t, trained().Save(path))
	loaded, err := Load(path)
	require.NoError(t, err)
	require.Equal(t, trained().Hash(), loaded.Hash())
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1)
}

func TestAFailedSaveLeavesNoTemporaryFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "tokenizer.json")
	require.NoError(t, os.MkdirAll(filepath.Join(path, "occupied"), 0o755)) // rename cannot replace it
	require.ErrorContains(t, trained().Save(path), "save tokenizer "+path)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1)
	require.ErrorIs(t, trained().Save(filepath.Join(dir, "absent", "tokenizer.json")), os.ErrNotExist)
}

func TestLoadErrorsNameTheFile(t *testing.T) {
	dir := t.TempDir()
	_, err := Load(filepath.Join(dir, "absent.json"))
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, "absent.json")
	_, err = Load(dir)
	require.ErrorContains(t, err, "load tokenizer "+dir)
	path := filepath.Join(dir, "text.json")
	require.NoError(t, os.WriteFile(path, []byte("hello"), 0o644))
	_, err = Load(path)
	require.ErrorContains(t, err, "load tokenizer "+path+": parse tokenizer.json: invalid character")
}
