package cli

import (
	"fmt"
	"os"
	"sort"

	"github.com/spf13/cobra"

	"tandem/workbench/lab"
	"tandem/workbench/repl"
)

func doctorCommand() *cobra.Command {
	var backend, install string
	var asJSON bool
	command := &cobra.Command{
		Use:   "doctor",
		Short: "Say what this machine has, which backend is chosen and why, and test its kernels",
		Args:  atMost(0, "no argument"),
		RunE: func(*cobra.Command, []string) error {
			if install != "" {
				if err := lab.InstallPlugin(install); err != nil {
					return err
				}
			}
			health := lab.Examine(backend)
			if asJSON {
				if err := printJSON(os.Stdout, health); err != nil {
					return err
				}
			} else if err := repl.WriteTable(os.Stdout, []string{"what", "found"}, healthRows(health)); err != nil {
				return err
			}
			if !health.OK() {
				return lab.ErrUnhealthy
			}
			return nil
		},
	}
	command.Flags().StringVar(&backend, "backend", "auto", "auto, go, cpu, cuda, or a GoMLX configuration")
	command.Flags().StringVar(&install, "install", "", "download a PJRT plugin first: cuda or cpu")
	command.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return command
}

func healthRows(h lab.Health) [][]string {
	rows := [][]string{{"go", fmt.Sprintf("%s, %s, %d CPUs", h.Go, h.Platform, h.CPUs)}}
	var modules []string
	for module := range h.Versions {
		modules = append(modules, module)
	}
	sort.Strings(modules)
	for _, module := range modules {
		if module != "go" {
			rows = append(rows, []string{module, h.Versions[module]})
		}
	}
	if h.GPU != nil {
		rows = append(rows, []string{"gpu", fmt.Sprintf("%s, %s MiB, driver %s", h.GPU.Name, h.GPU.MemoryMiB, h.GPU.Driver)})
	} else {
		rows = append(rows, []string{"gpu", "none: " + h.GPUProblem})
	}
	for _, found := range h.Backends {
		mark := "yes"
		if !found.Usable {
			mark = "no"
		}
		rows = append(rows, []string{"backend " + found.Kind, mark + ": " + found.Detail})
	}
	if h.Problem != "" {
		return append(rows, []string{"chosen", "none: " + h.Problem})
	}
	rows = append(rows, []string{"chosen", h.Chosen})
	if len(h.Kernels) > 0 {
		rows = append(rows, []string{"limits", h.Limits.String()})
	}
	notebooks := "yes: " + h.Jupyter.Kernel
	if !h.Jupyter.OK() {
		notebooks = "no: " + h.Jupyter.Problems[0]
	}
	rows = append(rows, []string{"notebooks", notebooks})
	for _, check := range h.Kernels {
		verdict := fmt.Sprintf("ok: differs from its definition by %.1e of at most %.0e", check.Error, check.Allowed)
		switch {
		case check.Refused != "":
			verdict = "not used here: " + check.Refused
		case check.Problem != "":
			verdict = "BROKEN: " + check.Problem
		case !check.OK():
			verdict = fmt.Sprintf("WRONG: differs from its definition by %.1e, at most %.0e is rounding", check.Error, check.Allowed)
		}
		rows = append(rows, []string{"kernel " + check.Operation, verdict})
	}
	return rows
}
