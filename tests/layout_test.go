// Package tests holds what crosses packages: the layout, the command line, the README and the notebooks.
package tests

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// mayImport says which packages of this module a package's own code may import. Tests may
// also use tests/testkit. A package that is not listed does not belong here.
var mayImport = map[string][]string{
	"xla":                  {},
	"blocks":               {"xla"},
	"blocks/ref":           {},
	"models":               {"blocks", "xla"},
	"configs":              {},
	"workbench":            {"workbench/cli"},
	"workbench/tokenizer":  {},
	"workbench/runlog":     {},
	"workbench/data":       {"workbench/tokenizer", "workbench/data/hub"},
	"workbench/data/hub":   {},
	"workbench/session":    {"workbench/runlog"},
	"workbench/checkpoint": {"models"},
	"workbench/generate":   {"models", "xla"},
	"workbench/chat":       {"workbench/tokenizer", "workbench/generate"},
	"workbench/eval": {"models", "xla", "workbench/data", "workbench/tokenizer", "workbench/generate", "workbench/chat",
		"workbench/eval/sandbox"},
	"workbench/eval/sandbox": {},
	"workbench/eval/probe":   {"models", "xla"},
	"workbench/web":          {"workbench/chat", "workbench/generate"},
	"workbench/train":        {"models", "xla", "workbench/data", "workbench/checkpoint", "workbench/runlog"},
	"workbench/config":       {"models", "blocks", "configs", "workbench/train"},
	"workbench/plot":         {},
	"workbench/notebook":     {"workbench/lab", "workbench/plot"}, // never linked into the workbench: see the test below
	"workbench/lab": {"models", "blocks", "blocks/ref", "xla", "workbench/plot", "workbench/tokenizer", "workbench/runlog", "workbench/data", "workbench/checkpoint",
		"workbench/generate", "workbench/chat", "workbench/train", "workbench/session", "workbench/config",
		"workbench/eval", "workbench/eval/probe", "workbench/eval/sandbox"},
	"workbench/bench": {"models", "blocks", "xla", "workbench/lab", "workbench/tokenizer", "workbench/generate", "workbench/chat",
		"workbench/train", "workbench/config"},
	"workbench/speedrun": {"models", "xla", "workbench/lab", "workbench/data", "workbench/runlog", "workbench/checkpoint",
		"workbench/chat", "workbench/train", "workbench/eval", "workbench/config"},
	"workbench/repl":  {"workbench/lab", "workbench/chat"},
	"workbench/cli":   {"workbench/lab", "workbench/bench", "workbench/speedrun", "workbench/repl", "workbench/web", "workbench/session", "workbench/config"},
	"tests":           {"workbench/cli", "models", "workbench/train", "workbench/plot", "xla"},
	"tests/testkit":   {"xla"},
	"tests/notebooks": {"workbench/lab"},
}

// testsMayImport is what a package's tests may import beside that: the parts of a real model.
var testsMayImport = map[string][]string{
	"xla":            {"models", "workbench/config"},
	"workbench/web":  {"workbench/tokenizer", "models", "xla"},
	"workbench/repl": {"workbench/session", "workbench/runlog"},
}

// broken lists the imports of our own packages that the table does not allow.
func broken(t *testing.T, root string, allowed map[string][]string) []string {
	t.Helper()
	var problems []string
	err := filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && file != root && strings.HasPrefix(entry.Name(), ".") {
			return filepath.SkipDir
		}
		if filepath.Ext(file) != ".go" {
			return nil
		}
		relative, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		folder := path.Dir(filepath.ToSlash(relative))
		list, known := allowed[folder]
		if !known {
			problems = append(problems, fmt.Sprintf("%s: package %s is not in mayImport; add it with what it may import", relative, folder))
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			own, ours := strings.CutPrefix(imported, "tandem/")
			inTest := strings.HasSuffix(file, "_test.go")
			if !ours || slices.Contains(list, own) || (inTest && (own == folder || own == "tests/testkit" || own == "blocks" || own == "blocks/ref" || slices.Contains(testsMayImport[folder], own))) {
				continue
			}
			problems = append(problems, fmt.Sprintf("%s: %s must not import %s", relative, folder, own))
		}
		return nil
	})
	require.NoError(t, err)
	return problems
}

func TestPackagesImportOnlyWhatTheDesignAllows(t *testing.T) {
	require.Empty(t, broken(t, "..", mayImport))
}

// GoNB and its protocol belong to cells, and each plot library to one package.
func TestOneImporterEachForGoNBAndThePlotLibraries(t *testing.T) {
	owners := map[string]string{"github.com/janpfeifer/gonb": "workbench/notebook", "gonum.org/v1/plot": "workbench/plot",
		"github.com/guptarohit/asciigraph": "workbench/repl"}
	seen := map[string]bool{}
	err := filepath.WalkDir("..", func(file string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(file) != ".go" {
			return err
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			for module, owner := range owners {
				if imported == module || strings.HasPrefix(imported, module+"/") {
					seen[module] = true
					require.Equal(t, owner, strings.TrimPrefix(path.Dir(filepath.ToSlash(file)), "../"), file)
				}
			}
		}
		return nil
	})
	require.NoError(t, err)
	require.Len(t, seen, len(owners))
}

func TestTheLayoutTestFailsWhenARuleIsBroken(t *testing.T) {
	strict := map[string][]string{}
	for folder, list := range mayImport {
		strict[folder] = list
	}
	strict["models"] = []string{"xla"}
	problems := broken(t, "..", strict)
	require.NotEmpty(t, problems)
	for _, problem := range problems {
		require.Contains(t, problem, "models must not import blocks")
	}
}
