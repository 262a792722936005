package xla

import (
	"embed"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/gomlx/compute/dtypes"
)

// ptxFiles are the kernels as kernels/build.sh compiled them from the CUDA sources beside it.
//
//go:embed kernels/ptx/*.ptx
var ptxFiles embed.FS

// sizes are the integers by which a kernel learns the sizes of its arguments, by the names of its sources.
type sizes map[string]int

// floatBits passes a float32 as a size.
func floatBits(x float64) int { return int(int32(math.Float32bits(float32(x)))) }

// module is the PTX text of one file under kernels/ptx.
type module struct {
	name, text string
}

// PTXVariable names the environment variable with a folder from which kernels are read in place of those in the program:
// for whoever changes a kernel, to try it without building the program again.
const PTXVariable = "TANDEM_PTX"

func openModule(name string) module {
	text, err := ptxFiles.ReadFile("kernels/ptx/" + name + ".ptx")
	if folder := os.Getenv(PTXVariable); folder != "" {
		text, err = os.ReadFile(filepath.Join(folder, name+".ptx"))
	}
	if err != nil {
		panic(fmt.Errorf("open kernel %s: %w; run xla/kernels/build.sh", name, err))
	}
	return module{name, string(text)}
}

// Sources write sizes as constants with these initial values, 0x7A000001 and up, for us to replace; any other constant is
// something that a source tells about itself.
const (
	firstPlaceholder = 0x7A000000
	lastPlaceholder  = 0x7A0000FF
)

var (
	constantPattern = regexp.MustCompile(`(?m)^(.*\.const .* (k[A-Za-z0-9]+) = )(\d+);$`)
	sharedPattern   = regexp.MustCompile(`(?m)^\.shared .* ([A-Za-z0-9_$]+)\[\d+\];\n`)
)

// entry is the text of one entry alone, with its sizes filled in. A text compiles as a whole, so the other entries of the
// file and what only they use would cost time.
func (m module) entry(name string, values sizes) string {
	head, _, _ := strings.Cut(m.text, ".visible .entry ")
	start := strings.Index(m.text, ".visible .entry "+name+"(")
	if start < 0 {
		panic(fmt.Errorf("open kernel %s: it has no entry %s; run xla/kernels/build.sh", m.name, name))
	}
	body, _, _ := strings.Cut(m.text[start+1:], "\n.visible .entry ")
	body = "." + body + "\n"
	head = sharedPattern.ReplaceAllStringFunc(head, func(declaration string) string {
		if strings.Contains(body, sharedPattern.FindStringSubmatch(declaration)[1]) {
			return declaration
		}
		return ""
	})
	return constantPattern.ReplaceAllStringFunc(head, func(declaration string) string {
		parts := constantPattern.FindStringSubmatch(declaration)
		initial, _ := strconv.Atoi(parts[3])
		if initial < firstPlaceholder || initial > lastPlaceholder {
			return declaration
		}
		value, ok := values[parts[2]]
		if !ok && strings.Contains(body, parts[2]) {
			panic(fmt.Errorf("fill sizes into kernel %s: nothing was given for %s", name, parts[2]))
		}
		return parts[1] + strconv.FormatUint(uint64(uint32(int32(value))), 10) + ";"
	}) + body
}

// constant reads what a source tells about itself, such as its number of threads.
func (m module) constant(name string) int {
	head, _, _ := strings.Cut(m.text, ".visible .entry ") // the rest is long
	for _, parts := range constantPattern.FindAllStringSubmatch(head, -1) {
		if parts[2] == name {
			value, _ := strconv.Atoi(parts[3])
			return value
		}
	}
	panic(fmt.Errorf("open kernel %s: it does not tell %s; run xla/kernels/build.sh", m.name, name))
}

// kernelDTypes are the dtypes that kernels are compiled for, by the names of their entries.
var kernelDTypes = map[dtypes.DType]string{dtypes.BFloat16: "bf16", dtypes.Float16: "f16", dtypes.Float32: "f32"}

// kernelDType names a dtype as entries do, or gives the reason why no kernel takes it.
func kernelDType(dtype dtypes.DType) (name, reason string) {
	name, ok := kernelDTypes[dtype]
	if !ok {
		return "", fmt.Sprintf("its kernel takes bfloat16, float16 and float32, not %s", dtype)
	}
	return name, ""
}

// ceilDiv is ⌈a/b⌉.
func ceilDiv(a, b int) int { return (a + b - 1) / b }
