// The workbench program: trains, samples and inspects hybrid language models. See README.md.
package main

import (
	"os"

	"tandem/workbench/cli"
)

func main() {
	os.Exit(cli.Main(os.Args[1:]))
}
