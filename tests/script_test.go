package tests

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"tandem/workbench/cli"
)

// TestMain makes the workbench a command of the scripts.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"workbench": func() { os.Exit(cli.Main(os.Args[1:])) },
	})
}

// update rewrites the expected output in the scripts: UPDATE_SCRIPTS=1 go test ./tests -run Scripts.
var update = os.Getenv("UPDATE_SCRIPTS") != ""

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           "scripts",
		UpdateScripts: update,
		Setup: func(env *testscript.Env) error {
			env.Setenv("TANDEM_CACHE", filepath.Join(env.WorkDir, ".cache"))
			env.Setenv("HOME", env.WorkDir)
			return nil
		},
	})
}
