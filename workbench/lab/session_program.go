package lab

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
)

// A session must outlive the program that starts it. The workbench simply starts itself. A notebook's cell cannot: GoNB
// builds a new program for each cell and puts it in the same place, and a package that turned any program into a server
// would be a surprise. So there the workbench is built from the module that lab itself was built from, once for each
// version of its code.

// moduleFolder is where this module's source is; "" where that is not known.
func moduleFolder() string {
	_, file, _, ok := runtime.Caller(0)
	if !ok {
		return ""
	}
	folder := filepath.Dir(filepath.Dir(filepath.Dir(file))) // of workbench/lab/session_program.go
	if _, err := os.Stat(filepath.Join(folder, "go.mod")); err != nil {
		return ""
	}
	return folder
}

// linkedBuild is the name that builtProgram gave to the program: the clone that it was built in may have changed, or gone,
// when another clone with the same source starts it again.
var linkedBuild string

// build names the code of this module, so that a program can tell whether a session runs the same. It is a hash of the
// source where that is at hand, else of the program.
var build = sync.OnceValue(func() string {
	if linkedBuild != "" {
		return linkedBuild
	}
	hash := sha256.New()
	err := hashSource(hash, moduleFolder())
	if err != nil {
		hash.Reset()
		err = hashProgram(hash)
	}
	if err != nil {
		return "unknown"
	}
	return fmt.Sprintf("%x", hash.Sum(nil)[:6])
})

// sourceFolders hold what the workbench is built from, and sourceKinds are the extensions of its files.
var (
	sourceFolders = []string{"blocks", "configs", "models", "workbench", "xla"}
	sourceKinds   = []string{".go", ".s", ".ptx", ".yaml", ".html", ".css", ".js", ".svg"}
)

func hashSource(hash io.Writer, module string) error {
	if module == "" {
		return fs.ErrNotExist
	}
	io.WriteString(hash, runtime.Version()+"\n"+experiments()+"\n")
	files := []string{filepath.Join(module, "go.mod"), filepath.Join(module, "go.sum")}
	for _, folder := range sourceFolders {
		err := filepath.WalkDir(filepath.Join(module, folder), func(path string, entry fs.DirEntry, err error) error {
			if err == nil && slices.Contains(sourceKinds, filepath.Ext(path)) && !strings.HasSuffix(path, "_test.go") {
				files = append(files, path)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		fmt.Fprintf(hash, "%s %d\n", strings.TrimPrefix(file, module), len(text))
		hash.Write(text)
	}
	return nil
}

func hashProgram(hash io.Writer) error {
	path, err := os.Executable()
	if err != nil {
		return err
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = io.Copy(hash, file)
	return err
}

// experiments is the GOEXPERIMENT that this program was built with: the session shall be built with the same.
func experiments() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, setting := range info.Settings {
			if setting.Key == "GOEXPERIMENT" {
				return setting.Value
			}
		}
	}
	return ""
}

// builtProgram is the workbench built from this module, kept in the cache folder until the code changes.
func builtProgram(ctx context.Context, say func(string)) (string, error) {
	module := moduleFolder()
	if module == "" {
		return "", fmt.Errorf("start a session: the source of tandem, to build its server from, is not at hand; start one in this folder with: workbench session serve")
	}
	cache, err := cacheFolder()
	if err != nil {
		return "", err
	}
	name := "workbench-" + build()
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	folder := filepath.Join(cache, "programs")
	program := filepath.Join(folder, name)
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", fmt.Errorf("start a session: %w; set %s to a folder that can be written", err, CacheVariable)
	}
	say("building the workbench for the session (once for each version of its code)")
	temporary := fmt.Sprintf("%s.%d", program, os.Getpid())
	defer os.Remove(temporary)
	if err := buildProgram(ctx, module, build(), temporary); err != nil {
		return "", err
	}
	older, _ := filepath.Glob(filepath.Join(folder, "workbench-*"))
	for _, path := range older { // a running session needs its file no more
		if !strings.HasPrefix(filepath.Base(path), name) { // another process may be building the same
			os.Remove(path)
		}
	}
	if err := os.Rename(temporary, program); err != nil {
		return "", fmt.Errorf("start a session: %w", err)
	}
	return program, nil
}

// buildProgram builds the workbench from a module's source, and has it call that source by a name.
func buildProgram(ctx context.Context, module, name, path string) error {
	// -w leaves out what only a debugger reads, which halves the time of linking.
	command := exec.CommandContext(ctx, "go", "build", "-ldflags=-w -X tandem/workbench/lab.linkedBuild="+name, "-o", path, "./workbench")
	command.Dir = module
	command.Env = append(os.Environ(), "GOWORK=off", "GOEXPERIMENT="+experiments())
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("start a session: build the workbench in %s: %w: %s", module, err, strings.Join(strings.Fields(string(output)), " "))
	}
	return nil
}
