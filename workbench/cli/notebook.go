package cli

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"tandem/workbench/lab"
	"tandem/workbench/repl"
)

func notebookCommand() *cobra.Command {
	var check, install bool
	command := &cobra.Command{
		Use:   "notebook",
		Short: "Open the notebooks in Jupyter, installing its Go kernel if you want",
		Long: `Check that this machine has Jupyter, the Go kernel GoNB and goimports; install the kernel, after asking, in the version that
this module names; and open the folder of notebooks.`,
		Args: atMost(0, "no argument"),
		RunE: func(command *cobra.Command, _ []string) error {
			if check && install {
				return usageError{errors.New("notebook: --check changes nothing and --install does; give one of them")}
			}
			if _, err := lab.Notebooks(); err != nil {
				return err
			}
			found := lab.ExamineJupyter(command.Context())
			if found.Program != "" && (install || (!check && !found.OK() && agreed())) {
				if err := lab.InstallKernel(command.Context(), func(line string) { fmt.Fprintln(os.Stderr, line) }); err != nil {
					return err
				}
				found = lab.ExamineJupyter(command.Context())
			}
			if check || install || !found.OK() {
				if err := repl.WriteTable(os.Stdout, []string{"what", "found"}, jupyterRows(found)); err != nil {
					return err
				}
			}
			switch {
			case !found.OK():
				return errors.New("notebook: " + found.Problems[0])
			case check || install:
				return nil
			case found.FrontEnd == "":
				return errors.New("notebook: " + found.Advice[0])
			}
			return lab.OpenNotebooks(command.Context(), found.FrontEnd)
		},
	}
	command.Flags().BoolVar(&check, "check", false, "only say what is there and what is missing")
	command.Flags().BoolVar(&install, "install", false, "install the kernel without asking, and open nothing")
	return command
}

// agreed asks on the terminal whether the kernel shall be installed; without a terminal nobody agrees.
func agreed() bool {
	if !term.IsTerminal(int(os.Stdin.Fd())) || !term.IsTerminal(int(os.Stderr.Fd())) {
		return false
	}
	fmt.Fprint(os.Stderr, "Install the Go kernel GoNB for this user's Jupyter? [y/N] ")
	answer, _ := bufio.NewReader(os.Stdin).ReadString('\n')
	answer = strings.ToLower(strings.TrimSpace(answer))
	return answer == "y" || answer == "yes"
}

// jupyterRows says what notebooks need and what was found of it.
func jupyterRows(j lab.Jupyter) [][]string {
	or := func(found string) string {
		if found == "" {
			return "none"
		}
		return found
	}
	rows := [][]string{{"jupyter", or(j.Program)}, {"front end", or(j.FrontEnd)}, {"kernel " + lab.KernelName, or(j.Kernel)},
		{"goimports", or(j.Goimports)}, {"gopls", or(j.Gopls)}}
	for _, problem := range j.Problems {
		rows = append(rows, []string{"missing", problem})
	}
	for _, advice := range j.Advice {
		rows = append(rows, []string{"advice", advice})
	}
	return rows
}
