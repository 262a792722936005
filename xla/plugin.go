//go:build cgo

package xla

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	_ "github.com/gomlx/go-xla/compute/xla" // registers the "xla" backend
	"github.com/gomlx/go-xla/installer"
)

func openCUDA() (*Device, error) {
	config, err := cudaConfig()
	if err != nil {
		return nil, err
	}
	return openConfig("cuda", fmt.Sprintf("%s,memory_fraction=%g", config, MemoryShare), "asked for")
}

// OpenWithin opens CUDA with no more than so many bytes of the GPU's memory, which are taken at once: as on a smaller card.
func OpenWithin(bytes int64) (*Device, error) {
	config, err := cudaConfig()
	if err != nil {
		return nil, err
	}
	gpu, err := FindGPU()
	if err != nil {
		return nil, err
	}
	all, err := gpu.Bytes()
	if err != nil {
		return nil, err
	}
	if bytes < 1 || bytes > all {
		return nil, fmt.Errorf("open backend cuda within %d bytes: the GPU has %d", bytes, all)
	}
	config = fmt.Sprintf("%s,memory_fraction=%.6f,preallocate", config, float64(bytes)/float64(all))
	return openConfig("cuda", config, fmt.Sprintf("within %.2f GiB", float64(bytes)/(1<<30)))
}

// cudaConfig is the GoMLX configuration of the CUDA plugin that is found.
func cudaConfig() (string, error) {
	plugin, err := pluginPath("cuda")
	if err != nil {
		return "", err
	}
	// The check looks for a folder layout that pip-installed plugins do not have.
	if os.Getenv("GOPJRT_CUDA_CHECKS") == "" {
		os.Setenv("GOPJRT_CUDA_CHECKS", "0")
	}
	// XLA's own matrix kernels, tried beside cuBLAS's, double the time to compile and win nothing.
	const flag = "--xla_gpu_enable_triton_gemm"
	if flags := os.Getenv("XLA_FLAGS"); !strings.Contains(flags, flag) {
		os.Setenv("XLA_FLAGS", strings.TrimSpace(flags+" "+flag+"=false"))
	}
	// Without notf32 products of float32 would be rounded to 10 bits, silently.
	return "xla:" + plugin + ",notf32", nil
}

func openCPU() (*Device, error) {
	plugin, err := pluginPath("cpu")
	if err != nil {
		return nil, err
	}
	return openConfig("cpu", "xla:"+plugin, "asked for")
}

// pluginPath finds the PJRT plugin for a kind of backend, "cuda" or "cpu".
func pluginPath(kind string) (string, error) {
	remedy := "use --backend go, or set PJRT_PLUGIN_LIBRARY_PATH"
	if kind == "cuda" {
		if gpus, _ := filepath.Glob("/dev/nvidia[0-9]*"); len(gpus) == 0 {
			return "", fmt.Errorf("open backend cuda: %w: no NVIDIA GPU is visible (no /dev/nvidia0); use --backend go, or install the NVIDIA driver and see workbench doctor", ErrUnavailable)
		}
		remedy = "install JAX with CUDA in the active Python, or set PJRT_PLUGIN_LIBRARY_PATH"
	}
	path, searched := findPlugin(kind)
	if path == "" {
		return "", fmt.Errorf("open backend %s: %w: no plugin in %s; %s, or let workbench doctor --install %s get one",
			kind, ErrUnavailable, strings.Join(searched, ", "), remedy, kind)
	}
	return path, nil
}

// Install downloads a PJRT plugin, "cuda" or "cpu", into GoMLX's folder in the home directory. It is the one function that
// goes to the network, and only runs when it is asked to.
func Install(kind string) error {
	install := map[string]func(string, bool, installer.VerbosityLevel) error{"cuda": installer.CudaAutoInstall, "cpu": installer.CPUAutoInstall}[kind]
	if install == nil {
		return fmt.Errorf("install backend %q: there is nothing to install for it; use cuda or cpu", kind)
	}
	if err := Try(func() error { return install("", true, installer.Normal) }); err != nil {
		return fmt.Errorf("install backend %s: %w", kind, err)
	}
	// The installer does nothing, and says nothing, where it finds no GPU.
	if _, err := pluginPath(kind); err != nil {
		return fmt.Errorf("install backend %s: %w", kind, err)
	}
	return nil
}

// findPlugin returns the absolute path of a PJRT plugin whose file name contains kind, and the folders it looked in:
// PJRT_PLUGIN_LIBRARY_PATH if set, else GoMLX's install folders and the active Python's JAX.
func findPlugin(kind string) (path string, searched []string) {
	folders := filepath.SplitList(os.Getenv("PJRT_PLUGIN_LIBRARY_PATH"))
	if len(folders) == 0 {
		home, _ := os.UserHomeDir()
		for _, base := range []string{filepath.Join(home, ".local/lib"), "/usr/local/lib"} {
			folders = append(folders, filepath.Join(base, "go-xla"), filepath.Join(base, "go-xla/nvidia"), filepath.Join(base, "gomlx/pjrt"))
		}
		if kind == "cuda" {
			for _, site := range pythonSites() {
				folders = append(folders, filepath.Join(site, "jax_plugins/xla_cuda*"))
			}
		}
	}
	for _, folder := range folders {
		for _, name := range []string{"pjrt?plugin?" + kind + "*.so", "pjrt_c_api_" + kind + "*_plugin.so", "xla_" + kind + "*plugin.so"} {
			if found, _ := filepath.Glob(filepath.Join(folder, name)); len(found) > 0 {
				return found[len(found)-1], folders
			}
		}
	}
	return "", folders
}

// pythonSites lists the site-packages folders of the active Python: the virtual environment's, then what python3 says.
func pythonSites() []string {
	var sites []string
	for _, variable := range []string{"VIRTUAL_ENV", "CONDA_PREFIX"} {
		if prefix := os.Getenv(variable); prefix != "" {
			found, _ := filepath.Glob(filepath.Join(prefix, "lib/python3*/site-packages"))
			sites = append(sites, found...)
		}
	}
	command := exec.Command("python3", "-c", "import site, sysconfig; print('\\n'.join([sysconfig.get_paths()['platlib'], *site.getsitepackages(), site.getusersitepackages()]))")
	command.WaitDelay = 5 * time.Second
	output, err := command.Output()
	if err != nil {
		return sites
	}
	return append(sites, strings.Fields(string(output))...)
}
