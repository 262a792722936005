package tests

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

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
	hub := scriptHub(t)
	testscript.Run(t, testscript.Params{
		Dir:           "scripts",
		UpdateScripts: update,
		Setup: func(env *testscript.Env) error {
			env.Setenv("TANDEM_CACHE", filepath.Join(env.WorkDir, ".cache"))
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("FREE_PORT", freePort(t))
			return addData(t, hub, env)
		},
	})
}

// freePort is one that nobody listens on now.
func freePort(t *testing.T) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)
	return port
}
