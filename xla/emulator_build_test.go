package xla

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// emulators builds the programs that run launches on the CPU, one for each text under kernels/ptx, from the same source with
// the same definitions.
type emulators struct {
	compiler string
	sources  string // folder of the sources as g++ takes them
	cache    string // folder of the programs, by a hash of all that they are made of

	compilers chan struct{} // at most two at a time
	runner    func() error
	mutex     sync.Mutex
	programs  map[string]func() (string, error)
}

// emulatorFlags are those of every compilation, chosen so that compiling and running together take the least time. A product
// and a sum stay two roundings where the source does not fuse them, and a program at a fixed place is out of the sanitizer's way.
var emulatorFlags = []string{
	"-std=c++17", "-Og", "-g1", "--param", "asan-instrumentation-with-call-threshold=0", "-fno-pie", "-ffp-contract=off", "-fno-math-errno", "-fno-strict-aliasing",
	"-fsanitize=address,alignment,bounds", "-fno-sanitize-recover=all",
}

// newEmulators skips the test where there is no g++ that can do it.
func newEmulators(t *testing.T) *emulators {
	compiler, err := exec.LookPath("g++")
	if err != nil || runtime.GOOS != "linux" {
		t.Skip("the emulation of kernels needs g++ on Linux")
	}
	e := &emulators{compiler: compiler, sources: t.TempDir(), compilers: make(chan struct{}, 2), programs: map[string]func() (string, error){}}
	e.runner = sync.OnceValue(e.buildRunner)
	probe := exec.CommandContext(t.Context(), compiler, append(emulatorFlags, "-no-pie", "-x", "c++", "-", "-o", filepath.Join(e.sources, "probe"))...)
	probe.Stdin = strings.NewReader("#include <sanitizer/asan_interface.h>\nint main() {}\n")
	if output, err := probe.CombinedOutput(); err != nil {
		t.Skipf("the emulation of kernels needs a g++ with AddressSanitizer: %s", output)
	}
	version, err := exec.CommandContext(t.Context(), compiler, "--version").Output()
	require.NoError(t, err)
	hash := sha256.New()
	fmt.Fprintln(hash, runtime.GOARCH, string(version))
	e.copySources(t, func(text []byte) { hash.Write(text) })
	itself, err := os.ReadFile("emulator_build_test.go")
	require.NoError(t, err)
	hash.Write(itself)
	e.cache = t.TempDir()
	if shared, err := os.UserCacheDir(); err == nil {
		folder := filepath.Join(shared, "tandem", "emulator", fmt.Sprintf("%x", hash.Sum(nil)[:12]))
		if os.MkdirAll(folder, 0o755) == nil {
			e.cache = folder
			forgetUnused(filepath.Dir(folder), folder)
		}
	}
	return e
}

// forgetUnused removes the programs of sources that nobody has tested for a week.
func forgetUnused(folder, used string) {
	now := time.Now()
	_ = os.Chtimes(used, now, now)
	entries, _ := os.ReadDir(folder)
	for _, entry := range entries {
		if info, err := entry.Info(); err == nil && now.Sub(info.ModTime()) > 7*24*time.Hour {
			_ = os.RemoveAll(filepath.Join(folder, entry.Name()))
		}
	}
}

var (
	dynamicSharedPattern = regexp.MustCompile(`extern __shared__ (\w+) (\w+)\[\];`)
	staticSharedPattern  = regexp.MustCompile(`__shared__ (\w+) (.+);`)
	declaratorPattern    = regexp.MustCompile(`(\w+)(\[[^,]*\])(?:, )?`)
)

// forCPU writes declarations of shared memory as the emulation has them.
func forCPU(source string) string {
	source = dynamicSharedPattern.ReplaceAllString(source, "DYNAMIC_SHARED($1, $2);")
	return staticSharedPattern.ReplaceAllStringFunc(source, func(declaration string) string {
		parts := staticSharedPattern.FindStringSubmatch(declaration)
		return declaratorPattern.ReplaceAllString(parts[2], "SHARED("+parts[1]+", $1, $2); ")
	})
}

// copySources lays out the kernels' sources and, over them, the emulation's.
func (e *emulators) copySources(t *testing.T, visit func(text []byte)) {
	for _, pattern := range []string{"*.cu", "*.cuh", filepath.Join("emulator", "*")} {
		files, err := filepath.Glob(filepath.Join("kernels", pattern))
		require.NoError(t, err)
		require.NotEmpty(t, files)
		for _, file := range files {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			visit(text)
			if strings.HasPrefix(filepath.Ext(file), ".cu") {
				text = []byte(forCPU(string(text)))
			}
			require.NoError(t, os.WriteFile(filepath.Join(e.sources, filepath.Base(file)), text, 0o644))
		}
	}
}

// textNamePattern takes a text's name apart as kernels/build.sh puts it together: source, dtype, states.
var textNamePattern = regexp.MustCompile(`^(.+?)(?:_(bf16|f16|f32))?(?:_n(\d+))?$`)

// program is the path of the program for a text, which is built if it is not there.
func (e *emulators) program(text string) (string, error) {
	e.mutex.Lock()
	build, ok := e.programs[text]
	if !ok {
		build = sync.OnceValues(func() (string, error) { return e.build(text) })
		e.programs[text] = build
	}
	e.mutex.Unlock()
	return build()
}

// build is for program alone.
func (e *emulators) build(text string) (string, error) {
	program := filepath.Join(e.cache, text)
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	if err := e.runner(); err != nil {
		return "", err
	}
	parts := textNamePattern.FindStringSubmatch(text)
	states := parts[3]
	if states == "" {
		states = "16"
	}
	object, fresh := text+".o", fmt.Sprintf("%s.%d", program, os.Getpid()) // whoever looks meanwhile sees a whole program or none
	if err := e.compile(parts[1]+".cu", object, "-DTYPE_"+strings.ToUpper(parts[2]), "-DPADDED="+states); err != nil {
		return "", err
	}
	if err := e.run("-no-pie", "-rdynamic", object, "emulator.o", "fibers.o", "-o", fresh, "-ldl"); err != nil {
		return "", err
	}
	return program, os.Rename(fresh, program)
}

// buildRunner compiles what every program has, without sanitizers, for it is the tool and not the patient.
func (e *emulators) buildRunner() error {
	for _, part := range []string{"emulator", "fibers"} {
		if err := e.compile(part+".cpp", part+".o", "-O2", "-fno-sanitize=all"); err != nil {
			return err
		}
	}
	return nil
}

func (e *emulators) compile(source, object string, options ...string) error {
	return e.run(append([]string{"-I.", "-include", "emulator.h", "-w", "-x", "c++", "-c", source, "-o", object}, options...)...)
}

// run gives g++ these arguments.
func (e *emulators) run(arguments ...string) error {
	e.compilers <- struct{}{}
	defer func() { <-e.compilers }()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, e.compiler, append(slices.Clone(emulatorFlags), arguments...)...)
	command.Dir = e.sources
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%.4000s", command, err, output)
	}
	return nil
}

// launch runs a launch of a text on the bytes of its operands, and returns those of its results. kernels/emulator/emulator.cpp
// describes what the two say to each other.
func (e *emulators) launch(ctx context.Context, text string, l Launch, operands [][]byte) (results [][]byte, err error) {
	var head, arguments strings.Builder
	var contents, output, problem bytes.Buffer
	fmt.Fprintf(&head, "launch %s %d %d %d %d %d %d %d\n", l.Entry, l.Grid[0], l.Grid[1], l.Grid[2], l.Block[0], l.Block[1], l.Block[2], l.Shared)
	constants, _, _ := strings.Cut(l.PTX, ".visible .entry ")
	for _, parts := range constantPattern.FindAllStringSubmatch(constants, -1) {
		fmt.Fprintf(&head, "constant %s %s\n", parts[2], parts[3])
	}
	buffers := 0
	buffer := func(kind string, content []byte, size int) int {
		fmt.Fprintf(&head, "buffer %s %d\n", kind, size)
		contents.Write(content)
		buffers++
		return buffers - 1
	}
	places := map[int]int{}
	for i, shape := range l.Results {
		if operand, ok := l.Aliases[i]; ok {
			places[operand] = buffer("place", operands[operand], len(operands[operand]))
		} else {
			buffer("result", nil, int(shape.ByteSize()))
		}
	}
	for i, operand := range operands {
		place, ok := places[i]
		if !ok {
			place = buffer("operand", operand, len(operand))
		}
		fmt.Fprintf(&arguments, "argument %d\n", place)
	}
	for i := range l.Results {
		fmt.Fprintf(&arguments, "argument %d\n", i)
	}
	head.WriteString(arguments.String() + "run\n")

	program, err := e.program(text)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, program)
	command.Stdin, command.Stdout, command.Stderr = io.MultiReader(strings.NewReader(head.String()), &contents), &output, &problem
	if err := command.Run(); err != nil {
		return nil, fmt.Errorf("run %s on the CPU: %w\n%.3000s", l.Entry, err, problem.String())
	}
	for _, shape := range l.Results {
		results = append(results, output.Next(int(shape.ByteSize())))
	}
	return results, nil
}
